//! Edits of the kernel's source in the style of real fixes (tests/live), as `make live` takes
//! them: which functions differ, what is refused, and what the kernel then answers.
//!
//! Edits touch different functions. So those that can be patched in are judged by one build
//! and one module, and so are those that can't. Each by itself: `make corpus`.

mod edit;
mod judge;

use crate::harness::{kernel, trial};
use anyhow::{Context, Result, ensure};
use edit::{Edit, Found, parse};
use judge::{Copy, Running, compare, expect, try_out};
use libtest_mimic::Trial;
use std::path::Path;
use std::time::{Duration, Instant};
use xtask::image::Image;
use xtask::live::tree::{self, FOR_DIFF};
use xtask::tool;

/// Edits that follow each other in one kernel, each on top of those before.
const ROW: [&str; 10] = [
    "string",
    "public-signature",
    "missing-check",
    "closure-in-front",
    "match-arm",
    "error-message",
    "new-function",
    "loop-to-iterator",
    "constant",
    "stacked",
];

/// How many edits there are at least.
const LEAST: usize = 44;

/// The trials that share a copy of the tree, and should not meet. The first one builds upper crates
/// alone; each of the others builds nearly all.
pub fn trials() -> Vec<Trial> {
    vec![
        trial("corpus::in_a_row", in_a_row),
        trial("corpus::controls", controls),
    ]
}

/// The second one.
pub fn more() -> Vec<Trial> {
    vec![trial("corpus::together", together)]
}

/// The last, and each edit by itself: only when asked for.
pub fn last() -> Vec<Trial> {
    let mut trials = vec![trial("corpus::refused", refused)];
    for edit in edit::all().unwrap_or_default() {
        let name = format!("corpus::each::{}", edit.name);
        let alone = trial(&name.clone(), move || by_itself(&name, &edit));
        trials.push(alone.with_ignored_flag(true));
    }
    trials
}

/// All edits that can be patched in, by one module.
fn together() -> Result<()> {
    let all = edit::all()?;
    ensure!(all.len() >= LEAST, "only {} edits", all.len());
    let edits: Vec<&Edit> = all
        .iter()
        .filter(|edit| !edit.alone && edit.expected.refused.is_empty())
        .collect();
    kernel(Image::Lab)?;
    let copy = Copy::fresh("live-together")?;
    for edit in &edits {
        copy.apply(edit)?;
    }
    let built = copy.build()?;
    let made = compare(&copy, &built, "live")?;
    expect(&made, &edits)?;
    let module = made.module.as_ref().context("there is no module")?;
    try_out(
        "corpus::together",
        &copy,
        &built,
        &edits,
        "live",
        &module.file,
    )?;
    Ok(())
}

/// All edits that can't be patched in, by one build: each reason is there.
fn refused() -> Result<()> {
    let all = edit::all()?;
    let edits: Vec<&Edit> = all
        .iter()
        .filter(|edit| !edit.alone && !edit.expected.refused.is_empty())
        .collect();
    kernel(Image::Lab)?;
    let copy = Copy::fresh("live-refused")?;
    for edit in &edits {
        copy.apply(edit)?;
    }
    let made = compare(&copy, &copy.build()?, "live")?;
    expect(&made, &edits)?;
    ensure!(made.module.is_none(), "there is a module");
    Ok(())
}

/// Edit after edit in one kernel that runs, as a user works: each module replaces the last one.
fn in_a_row() -> Result<()> {
    let all = edit::all()?;
    let find = |name: &&str| {
        all.iter()
            .find(|edit| edit.name == *name)
            .with_context(|| format!("no edit `{name}`"))
    };
    let edits: Vec<&Edit> = ROW.iter().map(find).collect::<Result<_>>()?;
    kernel(Image::Lab)?;
    let copy = Copy::fresh("live-row")?;
    let mut old = Running::old("corpus::in_a_row")?;
    let before = old.answers(&edits)?;
    let mut modules = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        copy.apply(edit)?;
        let name = nth(index);
        let made = compare(&copy, &copy.build()?, &name)?;
        let so_far = &edits[..=index];
        expect(&made, so_far).with_context(|| format!("with `{}`", edit.name))?;
        let module = made.module.as_ref().context("there is no module")?;
        old.patch(&name, &module.file)
            .with_context(|| format!("with `{}`", edit.name))?;
        let answers = old.answers(&edits)?;
        judge::judge(so_far, [&before, &answers, &before, &answers])?;
        modules.push((module.file.clone(), answers));
    }
    in_random_order(&mut old, &edits, &modules)?;
    let undone = old.answers(&edits)?;
    ensure!(
        undone == before,
        "undone, it is not as before: {undone:?}\n{before:?}"
    );
    old.end()
}

/// What the module with so many edits more than one is called.
fn nth(index: usize) -> String {
    format!("live_{}", index + 1)
}

/// The modules of edits that follow each other, each with what the kernel then answers, in random
/// order: some edits come and others go at a time, under threads that call patched functions and
/// judge each answer. Now and then these functions' own patch comes, and goes when a module
/// replaces it. In the end no module is left.
fn in_random_order(
    kernel: &mut Running,
    edits: &[&Edit],
    modules: &[(Vec<u8>, Vec<String>)],
) -> Result<()> {
    const STEPS: usize = 48;
    /// Edit `constant` allows 48.
    const THREADS: usize = 40;
    let spawned = kernel.ask(&[format!("spawn soak {THREADS}")])?;
    ensure!(spawned.contains("soak-"), "{spawned}");
    let mut seed = 1_u64;
    // Knuth's generator; its upper bits are the better ones.
    let mut below = |limit: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % limit
    };
    let mut last = modules.len() - 1;
    for step in 0..STEPS {
        if below(3) == 0 {
            kernel.ask(&["load soak; enable soak"])?;
            kernel.settle()?;
        }
        // Another one.
        let next = (last + 1 + below(modules.len() - 1)) % modules.len();
        let (file, expected) = &modules[next];
        let told = || format!("step {step}, from {} to {}", nth(last), nth(next));
        kernel.patch(&nth(next), file).with_context(told)?;
        let found = kernel.answers(edits).with_context(told)?;
        ensure!(
            found == *expected,
            "{}: found {found:?}\nexpected {expected:?}",
            told()
        );
        last = next;
    }
    kernel.undo(&nth(last))?;
    let killed = kernel.ask(&["kill soak"])?;
    ensure!(
        killed.contains(&format!("{THREADS} threads have ended")),
        "{killed}"
    );
    let judged = kernel.ask(&["call judged"])?;
    ensure!(
        judged.contains(" patched, all right, none lost"),
        "{judged}"
    );
    let calls: Vec<u64> = judged
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    ensure!(
        matches!(calls[..], [.., all, patched] if patched > 100 && all > patched + 100),
        "{judged}"
    );
    Ok(())
}

/// One edit, with a row of a table about it.
fn by_itself(label: &str, edit: &Edit) -> Result<()> {
    kernel(Image::Lab)?;
    let copy = Copy::fresh(FOR_DIFF)?;
    copy.apply(edit)?;
    let start = Instant::now();
    let built = copy.build()?;
    let mut times = vec![("build", start.elapsed())];
    let made = compare(&copy, &built, "live")?;
    times.extend(&made.times);
    let found = Found::in_made(&made);
    if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
        edit.accept(&found)?;
    } else {
        expect(&made, &[edit])?;
    }
    let mut verdict = match (&made.module, made.refused.len()) {
        (Some(_), _) => "patched",
        (None, 0) => "nothing differs",
        (None, _) => "refused",
    };
    let mut bytes = 0;
    let result = made.module.as_ref().map_or(Ok(()), |module| {
        bytes = module.file.len();
        let [sent, enabled] = try_out(label, &copy, &built, &[edit], "live", &module.file)?;
        times.extend([("send", sent), ("enable", enabled)]);
        Ok(())
    });
    if result.is_err() {
        verdict = "wrong";
    }
    println!(
        "{}",
        row(&edit.name, made.rows.len(), bytes, &times, verdict)
    );
    result
}

fn row(
    name: &str,
    count: usize,
    bytes: usize,
    times: &[(&str, Duration)],
    verdict: &str,
) -> String {
    let times = times
        .iter()
        .map(|(part, time)| format!("{part} {:.2}", time.as_secs_f64()));
    let times = times.collect::<Vec<_>>().join(", ");
    format!("| {name:<24} | {count:>3} | {bytes:>6} | {times} | {verdict} |")
}

/// Each edit is one of this tree, those too that `make corpus` alone builds; and what is wrong in a
/// file, or in what it expects, is told.
fn controls() -> Result<()> {
    for edit in edit::all()? {
        tree::applies(&edit.path, tool::workspace())?;
    }
    const DIFF: &str = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
    let good = parse(&format!(
        "About: a\nChanged: a::b\nNote: stays\nRun: mem\nAnswer: 7\n{DIFF}"
    ))?;
    for (header, wrong) in [
        ("Changed: a\n", "expected one `About`, found 0"),
        ("About: a\nAbout: b\n", "expected one `About`, found 2"),
        ("About: a\nchanged: b\n", "no key `changed`"),
        (
            "About: a\nChanged\n",
            "expected `Key: value`, found `Changed`",
        ),
        ("About: a\nNote:  \n", "`Note` has no value"),
        ("About: a\nRows: 2\n", "judged alone"),
        ("About: a\nMost: 2\n", "judged alone"),
        ("About: a\nAlone: b\nMost: c\n", "`Most` is no number"),
        (
            "About: a\nAlone: b\nRows: 2\nNew: c\n",
            "`Rows` beside rows",
        ),
        ("About: a\nChanged: b\nAnswer: c\n", "nothing that is run"),
        (
            "About: a\nRefused: b\nRun: c\nAnswer: d\n",
            "can't be patched in",
        ),
    ] {
        let error = parse(&format!("{header}{DIFF}")).err().context(header)?;
        ensure!(format!("{error:#}").contains(wrong), "{header}: {error:#}");
    }
    ensure!(parse("About: a\n").is_err(), "an edit without a change");
    let found = |rows: &[&str], refused: &[&str], notes: &[&str]| {
        let [rows, refused, notes] =
            [rows, refused, notes].map(|all| all.iter().map(|one| (*one).to_owned()).collect());
        Found {
            rows,
            refused,
            notes,
        }
    };
    found(&["Changed: a::b"], &[], &["it stays"]).expect(&good.expected)?;
    for (other, wrong) in [
        (found(&[], &[], &["it stays"]), "not found: Changed: a::b"),
        (
            found(&["Changed: a::b"; 2], &[], &["it stays"]),
            "not expected: Changed: a::b",
        ),
        (
            found(&["New: a::b"], &[], &["it stays"]),
            "not expected: New: a::b",
        ),
        (
            found(&["Changed: a::b"], &["no"], &["it stays"]),
            "not expected: Refused: no",
        ),
        (
            found(&["Changed: a::b"], &[], &[]),
            "not found: Note: stays",
        ),
        (
            found(&["Changed: a::b"], &[], &["it stays", "more"]),
            "not expected: Note: more",
        ),
    ] {
        let error = other.expect(&good.expected).err().context(wrong)?;
        ensure!(error.to_string().contains(wrong), "{error}");
    }
    let counted = parse(&format!("About: a\nAlone: b\nRows: 2\n{DIFF}"))?.expected;
    found(&["New: a", "New: b"], &[], &[]).expect(&counted)?;
    let error = found(&["New: a"], &[], &[]).expect(&counted).err();
    let error = error.context("a row is missing")?.to_string();
    ensure!(error.contains("not expected: Rows: 1"), "{error}");
    // Answers: too early, not at all, not taken back, other than in the built kernel.
    let edit = Edit {
        path: Path::new("x").into(),
        ..good
    };
    let all = |texts: [&str; 4]| texts.map(|text| vec![text.to_owned()]);
    let judge = |texts: [&str; 4]| {
        let [a, b, c, d] = all(texts);
        judge::judge(&[&edit], [&a, &b, &c, &d])
    };
    judge(["6", "7", "6", "7"])?;
    for texts in [
        ["7", "7", "7", "7"],
        ["6", "6", "6", "6"],
        ["6", "7", "7", "7"],
        ["6", "7", "6", "7 "],
    ] {
        ensure!(judge(texts).is_err(), "{texts:?}");
    }
    Ok(())
}
