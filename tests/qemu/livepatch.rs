//! The kernel's self-tests of live patching, group by group, and what they print: the
//! order of steps and callbacks is compared line by line.

use crate::golden::compare_filtered;
use crate::harness::{Boot, trial};
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use xtask::outcome::Outcome;

/// The groups of `selftest/src/tests/livepatch`.
const GROUPS: [&str; 7] = [
    "callbacks",
    "ftrace",
    "livepatch",
    "ours",
    "shadow_vars",
    "state",
    "syscall",
];

/// Faults that must end the run although a patch is enabled: tests that run only
/// when named in full.
const FATAL: [&str; 5] = [
    "in_a_callback",
    "in_an_interrupt",
    "in_the_main_thread",
    "outside_the_patch",
    "with_a_lock_held",
];

/// What differs from run to run.
const FILTERS: [(&str, &str); 5] = [
    // When.
    (r"\[ *\d+\.\d{6}\] ", ""),
    // Registers, but for where it happened.
    (r"(?m)^(msr|cr|r\d+) .*\n", ""),
    // Return addresses that other calls may have left on the stack.
    (r"(?m)^.*\(perhaps stale; see lr\)\n", ""),
    // How many threads there have been.
    (r"(?m)^(thread: \S+)-\d+$", "$1-[number]"),
    // Where the compiler has put what was inlined.
    (r"\{closure#\d+\}", "{closure}"),
];

pub fn trials() -> Vec<Trial> {
    let group = |group| {
        let name = format!("livepatch::{group}");
        trial(&name.clone(), move || run(&name, group))
    };
    let fatal = |test| {
        let name = format!("livepatch::fatal::{test}");
        trial(&name.clone(), move || ends_the_run(&name, test))
    };
    GROUPS
        .map(group)
        .into_iter()
        .chain(FATAL.map(fatal))
        .collect()
}

/// Whether a golden output belongs to a group.
pub fn is_golden(name: &str) -> bool {
    let group = name.strip_prefix("livepatch-");
    group.is_some_and(|group| GROUPS.contains(&group))
}

fn run(name: &str, group: &str) -> Result<()> {
    let append = format!("mode=selftest test=livepatch::{group}::*");
    let run = Boot::new(name, "default", &append)?.run()?;
    run.expect(&Outcome::Guest(0))?;
    let file = format!("livepatch-{group}");
    compare_filtered(&file, &append, &run.finished.transcript, &FILTERS)
}

fn ends_the_run(name: &str, test: &str) -> Result<()> {
    let append = format!("mode=selftest test=livepatch::ours::faults::{test}");
    let run = Boot::new(name, "default", &append)?.run()?;
    run.expect(&Outcome::Guest(4))?;
    let transcript = &run.finished.transcript;
    ensure!(
        !transcript.contains("taken back") && !transcript.contains("is stopped"),
        "the thread was stopped:\n{transcript}"
    );
    Ok(())
}
