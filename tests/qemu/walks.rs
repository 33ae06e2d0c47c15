//! What the documents tell their readers to do, done as they say: each has a trial, so
//! that none of its blocks is left out in silence.

use crate::harness::{Boot, ignorable, kernel, own_variants, trial};
use crate::{bench, golden};
use anyhow::{Context, Result, ensure};
use libtest_mimic::{Completion, Trial};
use std::collections::BTreeSet;
use std::process::Command;
use walk::document::{Block, Kind, blocks};
use walk::shell;
use walk::tree::Tree;
use xtask::image::Image;
use xtask::outcome::Outcome;
use xtask::tool;

/// Documents that change the tree, and are done in a copy of it.
const IN_A_COPY: [&str; 4] = [
    "docs/live.md",
    "docs/add-a-variant.md",
    "docs/add-a-patch.md",
    "docs/c-patches.md",
];

/// What a document's `sh` block tells to do, and which trials do the same. The walk
/// leaves it out.
const ELSEWHERE: [(&str, &str); 8] = [
    ("make run", "readme::run"),
    ("make test", "all of them"),
    ("make bench", "bench::counts"),
    ("make matrix", "matrix::power10"),
    (
        "make step FUNC=leaf VARIANT=all WAY=transition",
        "step::transition",
    ),
    ("make exercise N=all", "exercises::judged"),
    // Ends with a failure until the reader has done it.
    ("make exercise N=3", "exercises::judged"),
    (
        "cargo run -- --append 'mode=shell -- enable two_percent; patches; poweroff'",
        "shell::arguments",
    ),
];

/// A long one. There is one copy of the tree, for these and the exercises.
pub fn first() -> Vec<Trial> {
    vec![ignorable("walk::add-a-variant", add_a_variant)]
}

/// The other one, and those that change nothing.
pub fn last() -> Vec<Trial> {
    let mut trials = vec![
        trial("walk::add-a-patch", add_a_patch),
        trial("walk::c-patches", c_patches),
        trial("walk::live", live),
        trial("walk::all", all_are_walked),
    ];
    // Without a list, the trial above says why.
    for document in documents().unwrap_or_default() {
        if has_commands(&document) && !IN_A_COPY.contains(&&document[..]) {
            let name = document.trim_end_matches(".md").trim_start_matches("docs/");
            trials.push(trial(&format!("walk::{name}"), move || in_place(&document)));
        }
    }
    trials
}

/// All documents of the tree, by their paths in it.
fn documents() -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command.args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "*.md",
    ]);
    let output = tool::output(command.current_dir(tool::workspace()))?;
    let listed = String::from_utf8(output.stdout)?;
    let all = listed.lines().map(String::from);
    Ok(all
        .filter(|path| tool::workspace().join(path).is_file())
        .collect())
}

/// Whether a document has something that is to be done here, or a block of no known kind.
fn has_commands(document: &str) -> bool {
    let text = tool::read_file(&tool::workspace().join(document));
    let blocks = text.and_then(|text| blocks(&String::from_utf8_lossy(&text)));
    let is_here = |block: &Block| match block.kind {
        Kind::Figure => false,
        Kind::Commands => {
            let mut commands = block.text.lines().map(walk::command_of);
            commands.any(|command| !is_elsewhere(document, command))
        }
        _ => true,
    };
    blocks.map_or(true, |all| all.iter().any(is_here))
}

/// Whether another trial does what a command of a document says.
fn is_elsewhere(document: &str, command: &str) -> bool {
    // A tree as it was cloned has not done the exercise; `exercises::judged` does.
    let number = document
        .strip_prefix("docs/exercises/")
        .and_then(|name| name.get(..2));
    let number = number.and_then(|number| number.parse::<u32>().ok());
    number.is_some_and(|number| command == format!("make exercise N={number}"))
        || ELSEWHERE.iter().any(|(other, _)| *other == command)
}

/// Documents are found, and what is said to be done elsewhere is asked for by one.
fn all_are_walked() -> Result<()> {
    let documents = documents()?;
    ensure!(documents.len() > 25, "only {documents:?}");
    let mut asked = BTreeSet::new();
    for document in &documents {
        let text = tool::read_file(&tool::workspace().join(document))?;
        let all = blocks(&String::from_utf8_lossy(&text)).with_context(|| document.clone())?;
        for block in all.iter().filter(|block| block.kind == Kind::Commands) {
            asked.extend(block.text.lines().map(walk::command_of).map(String::from));
        }
    }
    for (command, trials) in ELSEWHERE {
        ensure!(
            asked.contains(command),
            "no document says `{command}`, which {trials} does"
        );
    }
    Ok(())
}

/// Does what a document says in the tree itself.
fn in_place(document: &str) -> Result<()> {
    kernel(Image::Klplab)?;
    walk::walk_but(&Tree::original(), document, |command| {
        is_elsewhere(document, command)
    })
}

/// Does what a document says in a copy of the tree, and returns what has changed.
fn changes(document: &str, tree: &Tree) -> Result<BTreeSet<String>> {
    walk::walk(tree, document)?;
    tree.changes()
}

/// The copy of the tree.
fn copy() -> Result<Tree> {
    // What both builds share is built once, and not by two at a time.
    kernel(Image::Klplab)?;
    let tree = Tree::fresh("walk")?;
    // What the first command of all says besides is not in the documents.
    let (well, printed) = shell::run(&tree, "scripts/setup cargo --version")?;
    ensure!(well, "the copy's tool was not built:\n{printed}");
    Ok(tree)
}

fn expect(changes: &BTreeSet<String>, expected: &[&str]) -> Result<()> {
    let expected: BTreeSet<String> = expected.iter().map(|line| (*line).to_owned()).collect();
    ensure!(
        *changes == expected,
        "changed: {changes:?} instead of {expected:?}"
    );
    Ok(())
}

/// A variant is one new file, and a change to another. No test fails because of it that
/// compares something with what was accepted.
fn add_a_variant() -> Result<Completion> {
    let own = own_variants(kernel(Image::Klplab)?)?;
    if !own.is_empty() {
        let own = own.join(", ");
        return Ok(Completion::ignored_with(format!(
            "the tree has a variant of its own: {own}"
        )));
    }
    let tree = copy()?;
    let changes = changes("docs/add-a-variant.md", &tree)?;
    expect(
        &changes,
        &[
            "M kernel/livepatch/src/variants/mod.rs",
            "?? kernel/livepatch/src/variants/mini_frame_copying.rs",
        ],
    )?;
    let kernel = tree.built("klplab/klplab-lab.elf");
    ensure!(own_variants(&kernel)? == ["mini-frame-copying"]);
    golden::refused_variant("walk::refused-variant", &kernel)?;
    let bench = Boot::new("walk::bench", xtask::bench::MACHINE, "mode=bench")?.kernel(&kernel);
    let bench = bench.run()?;
    bench.expect(&Outcome::Guest(0))?;
    bench::variants(&bench, &kernel)?;
    Ok(Completion::Completed)
}

/// A patch is a folder, and a line for it in cargo's list.
fn add_a_patch() -> Result<()> {
    let changes = changes("docs/add-a-patch.md", &copy()?)?;
    expect(
        &changes,
        &[
            "M Cargo.lock",
            "?? patches/ten_percent/Cargo.toml",
            "?? patches/ten_percent/src/lib.rs",
        ],
    )
}

/// One in C has a build script too.
fn c_patches() -> Result<()> {
    let changes = changes("docs/c-patches.md", &copy()?)?;
    expect(
        &changes,
        &[
            "M Cargo.lock",
            "?? patches/twice/Cargo.toml",
            "?? patches/twice/build.rs",
            "?? patches/twice/src/lib.rs",
            "?? patches/twice/src/twice.c",
        ],
    )
}

/// Edits of one file come into a running kernel, and are taken back.
fn live() -> Result<()> {
    let changes = changes("docs/live.md", &copy()?)?;
    expect(&changes, &[])
}
