//! The exercises, as a reader meets them: in a tree as it was cloned none is done, with
//! the solutions in tests/exercises all are, and with wrong ones each is told what is
//! wrong.

use crate::harness::{Boot, kernel, own_variants, trial};
use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use std::collections::BTreeSet;
use std::process::Command;
use walk::shell;
use walk::tree::Tree;
use xtask::exercise::{EXERCISES, Exercise};
use xtask::image::Image;
use xtask::tool;

/// Where the solutions are: `N.patch`, and `N-wrong.patch`.
const SOLUTIONS: &str = "tests/exercises";

/// What is a reader's to change, in an exercise of its own.
const OWN: [&str; 3] = ["docs/exercises/", "patches/exercise_", "selftest/practice/"];
/// Where a variant of the reader's is.
const VARIANTS: &str = "kernel/livepatch/src/variants/";

/// What is said of the wrong solutions, from the first exercise on.
const WRONG: [&str; 10] = [
    "`greeting` says something by `exercise_say`; found: it says nothing by that",
    "found: your answer 2, which is too large",
    "`open` opens what `seal` has sealed; found: 0x9e3779b97f4a7c15 has become",
    "found: 2 of them, all right, and 1 more in the running kernel",
    "doubled+0x18, `add r2, r2, r0`: writes r2",
    "expected: toll(2, 10) is 16; found: 14",
    "no shadow variable is left when the patch has gone; found: 4",
    "the balance after a year is still 10200, as with `two_percent`; found: 10100",
    "after a transition that was turned round, the valve was opened 0 times and closed 0; found: 0 and 1",
    "a thread that calls `wait_for_bell` waits; found: it got 0 at once",
];

/// The exercises that are edits of the kernel, with what is said of the wrong ones.
const EDITS: [(&str, &str); 2] = [
    (
        "12",
        "1 and 2 are given out, and the next one is 3; found: 1",
    ),
    ("13", "37, and 10 more: 47; found: 14"),
];

/// How many exercises come before that of the variant.
const VARIANT: usize = WRONG.len();

/// Where the wrong variant is.
const COPIED: &str = "kernel/livepatch/src/variants/mini_copy.rs";

/// What is said of it.
const COPY: &str = "`mini-copy` hands over as `mini-frame` does";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("exercises::judged", judged),
        trial("exercises::no_variant", no_variant),
    ]
}

/// Builds the kernel twice, which is what takes time here: the wrong variant is in the
/// tree as it was cloned, and the right one stays when the wrong solutions come. The edits come
/// when the rest is there, as they do for a reader: both are in one build, which is compared with
/// the one before.
fn judged() -> Result<()> {
    // What both builds share is built once, and not by two at a time.
    kernel(Image::Test)?;
    let tree = Tree::fresh("walk")?;
    as_cloned(&tree)?;
    // What it writes is a variant that works, and another one's copy.
    let (well, printed) = shell::run(&tree, "make new-variant NAME=mini-copy")?;
    ensure!(well, "`make new-variant` printed:\n{printed}");
    apply(&tree, "11-wrong", &[])?;
    let told = ask(&tree, "all", false)?;
    let (others, [variant, edits @ ..]) = told.split_at(VARIANT) else {
        bail!("no exercises");
    };
    for (exercise, told) in others.iter().chain(edits) {
        ensure!(
            told.contains("not there yet") && told.contains("not done yet: "),
            "exercise {} in a tree as it was cloned: {told}",
            exercise.number
        );
    }
    ensure!(variant.1.contains(COPY), "a copy: {}", variant.1);

    apply(&tree, "11-wrong", &["--reverse"])?;
    std::fs::remove_file(tree.path().join(COPIED))?;
    for exercise in EXERCISES.iter().take(VARIANT + 1) {
        apply(&tree, &exercise.number.to_string(), &[])?;
    }
    all_done(&tree, "1 2 3 4 5 6 7 8 9 10 11")?;

    for (number, _) in EDITS {
        apply(&tree, number, &[])?;
    }
    all_done(&tree, "12 13")?;
    for (number, _) in EDITS {
        apply(&tree, number, &["--reverse"])?;
        apply(&tree, &format!("{number}-wrong"), &[])?;
    }

    for (exercise, _) in EXERCISES.iter().zip(WRONG) {
        let number = exercise.number;
        apply(&tree, &number.to_string(), &["--reverse"])?;
        apply(&tree, &format!("{number}-wrong"), &[])?;
    }
    let told = ask(&tree, "all", false)?;
    // The variant is right.
    let (others, edits) = (&told[..VARIANT], &told[VARIANT + 1..]);
    let wrong = WRONG.into_iter().chain(EDITS.map(|(_, wrong)| wrong));
    for ((exercise, told), wrong) in others.iter().chain(edits).zip(wrong) {
        ensure!(
            told.contains("not there yet") && told.contains(wrong),
            "exercise {} with a wrong solution: `{wrong}` is not in {told}",
            exercise.number
        );
    }
    Ok(())
}

/// Without a new variant, the last one is not done.
fn no_variant() -> Result<()> {
    let append = "mode=selftest test=exercises::variants::has_a_new_one";
    let run = Boot::new("exercises::no_variant", "default", append)?.run()?;
    let test = run.event("test")?;
    let message = test["message"].as_str().context("no message")?;
    // The reader may well have one.
    ensure!(
        message.starts_with("not done yet: ") || !run.events("measure").is_empty(),
        "{test}"
    );
    Ok(())
}

/// Takes what a reader may have changed, and not committed, as it was committed.
fn as_cloned(tree: &Tree) -> Result<()> {
    let git = |words: &[&str]| -> Result<Vec<u8>> {
        let mut command = Command::new("git");
        let output = tool::output(command.current_dir(tool::workspace()).args(words))?;
        ensure!(output.status.success(), "git {} failed", words.join(" "));
        Ok(output.stdout)
    };
    let listed = String::from_utf8(git(&["ls-tree", "-r", "-z", "--name-only", "HEAD"])?)?;
    let mut own = OWN.to_vec();
    if !own_variants(kernel(Image::Test)?)?.is_empty() {
        own.push(VARIANTS);
    }
    let is_own = |file: &&str| own.iter().any(|start| file.starts_with(start));
    for file in listed.split('\0').filter(is_own) {
        let content = git(&["show", &format!("HEAD:{file}")])?;
        let path = tree.path().join(file);
        if tool::read_file(&path).ok().as_ref() != Some(&content) {
            tool::replace_file(&path, &content)?;
        }
    }
    Ok(())
}

/// Applies one of the solutions.
fn apply(tree: &Tree, name: &str, options: &[&str]) -> Result<()> {
    let path = tool::workspace()
        .join(SOLUTIONS)
        .join(format!("{name}.patch"));
    let text = String::from_utf8(tool::read_file(&path)?)?;
    let command = [&["git", "apply"], options, &["-"]].concat();
    shell::feed(tree, &command, &text).with_context(|| {
        format!("{SOLUTIONS}/{name}.patch does not apply: has its exercise been done here, and committed?")
    })
}

/// Fails unless exercises with their solutions are told to be done.
fn all_done(tree: &Tree, numbers: &str) -> Result<()> {
    for (exercise, told) in &ask(tree, numbers, true)? {
        ensure!(
            told.contains(": done"),
            "exercise {} with its solution: {told}",
            exercise.number
        );
    }
    Ok(())
}

/// Asks for exercises by number, and splits the answer.
fn ask(tree: &Tree, numbers: &str, done: bool) -> Result<Vec<(&'static Exercise, String)>> {
    let is_asked = |one: &&Exercise| {
        let mut words = numbers.split(' ');
        numbers == "all" || words.any(|word| word.parse() == Ok(one.number))
    };
    let exercises: Vec<&'static Exercise> = EXERCISES.iter().filter(is_asked).collect();
    let (well, printed) = shell::run(tree, &format!("make exercise N='{numbers}'"))?;
    ensure!(
        well == done && !printed.contains("panicked"),
        "`make exercise N={numbers}` printed:\n{printed}"
    );
    let starts: Vec<usize> = exercises
        .iter()
        .map(|one| {
            let heading = format!("exercise {}, {}: ", one.number, one.title);
            let found = printed.find(&heading);
            found.with_context(|| format!("no `{heading}` in:\n{printed}"))
        })
        .collect::<Result<_>>()?;
    let ends = starts.iter().skip(1).copied().chain([printed.len()]);
    let parts: Vec<_> = starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| printed.get(start..end).unwrap_or_default().to_owned())
        .collect();
    let different: BTreeSet<_> = parts.iter().collect();
    ensure!(different.len() == parts.len(), "some are alike:\n{printed}");
    Ok(exercises.into_iter().zip(parts).collect())
}
