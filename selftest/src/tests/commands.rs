//! The monitor's commands for tests.

use super::fuzz;
use alloc::{format, string::String, vec::Vec};
use core::{
    fmt::Write,
    sync::atomic::{AtomicBool, Ordering},
};
use machine::{arch, time};
use report::Verdict;
use shell::{Command, CommandError, Family, Outcome, Session, input, must_be_at_rest, names};

/// What the monitor has for them.
pub static FAMILY: Family = Family {
    title: "tests",
    commands: &[
        Command {
            name: "selftest",
            arguments: "[PATTERN...]",
            count: (0, 16),
            about: "runs the kernel's tests of itself, or some; ^C stops between two",
            more: "A pattern is a test's path, the start of one up to a `::`, or holds a `*`. The tests need the kernel to themselves: see `reset`.",
            example: "selftest names::*",
            run: selftest,
            ..Command::BASIC
        },
        Command {
            name: "fuzz",
            arguments: "[LINES [SEED [forced]]]",
            count: (0, 3),
            about: "types random lines here, and sees that the kernel goes on as before",
            more: "With `forced`, transitions are forced too, so that modules stay.",
            example: "fuzz 500 7",
            run: fuzz,
            ..Command::BASIC
        },
    ],
};

fn selftest(_: &mut Session, patterns: &[&str]) -> Outcome {
    let mut chosen: Vec<String> = Vec::new();
    for &pattern in patterns {
        // A group of tests, without its `::`.
        let group = format!("{pattern}::");
        if super::is_any(pattern) {
            chosen.push(pattern.into());
        } else if super::is_any(&group) {
            chosen.push(group);
        } else {
            let what = "a test's path, the start of one up to `::`, or a pattern with `*`";
            return Err(CommandError::expected(what, pattern));
        }
    }
    must_be_at_rest()?;
    let patterns: Vec<&str> = chosen.iter().map(String::as_str).collect();
    let verdict = super::run_while(&patterns, || {
        thread::safe_point();
        !input::interrupted()
    });
    input::check()?;
    match verdict {
        Verdict::Passed => Ok(()),
        _ => Err(CommandError::refused("a test has failed")),
    }
}

/// Whether random lines are being typed: not again by one of them.
static FUZZING: AtomicBool = AtomicBool::new(false);

fn fuzz(session: &mut Session, arguments: &[&str]) -> Outcome {
    let most = 10_000_000;
    let lines = arguments
        .first()
        .map_or(Ok(10_000), |text| names::number(text, 1, most))?;
    let seed = arguments
        .get(1)
        .map_or(Ok(1), |text| names::number(text, 1, u64::MAX))?;
    let forced = match arguments.get(2) {
        None => false,
        Some(&"forced") => true,
        Some(other) => return Err(CommandError::expected("`forced`, or nothing", other)),
    };
    must_be_at_rest()?;
    if FUZZING.swap(true, Ordering::Relaxed) {
        return Err(CommandError::refused("it runs already"));
    }
    writeln!(session.out, "typing {lines} random lines of seed {seed}")?;
    let start = arch::timebase();
    let result = fuzz::run(lines, seed, !forced);
    FUZZING.store(false, Ordering::Relaxed);
    let tally = result?;
    let took = time::duration(arch::timebase() - start);
    for row in tally.tried.chunks(5) {
        for (name, count) in row {
            write!(session.out, "  {name:<10} {count:>6}")?;
        }
        writeln!(session.out)?;
    }
    let failed = tally.failed;
    let lines = tally.lines;
    writeln!(
        session.out,
        "{lines} lines in {} ms, {failed} of them refused; the kernel is as before",
        took.as_millis()
    )?;
    Ok(())
}
