//! The kernel's self-tests, and whether they can fail at all.

use crate::harness::{Boot, Run, trial};
use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use std::fmt::Write as _;
use std::time::Duration;
use xtask::machine::Machine;
use xtask::outcome::Outcome;

/// Where the self-tests run: on each processor, and with exact time.
const MACHINES: [&str; 4] = ["power8", "default", "power10", ICOUNT];
const ICOUNT: &str = "icount";

/// Self-tests of what differs with pages, or without.
const NEXT_TO_PAGES: &str = "test=entry:: test=machine:: test=translation:: test=text::* test=module::* \
    test=thread:: test=livepatch::ours::*";

/// How long one may run without a sign of life, in seconds of exact time. A quiet host
/// takes three times as long, and a very busy one a hundred times.
const SILENCE: f64 = 0.8;

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for machine in MACHINES {
        let name = format!("selftest::{machine}");
        trials.push(trial(&name.clone(), move || selftest(&name, machine)));
    }
    trials.push(trial("selftest::several_cpus", || {
        selftest("selftest::several_cpus", "smp-power9")
    }));
    for tables in ["hash", "off"] {
        let name = format!("selftest::mmu-{tables}");
        trials.push(trial(&name.clone(), move || {
            let append = format!("mode=selftest mmu={tables} {NEXT_TO_PAGES}");
            selected(&name, "default", &append)
        }));
    }
    // Tests of the kernel that run only when named, and never pass.
    let limit = Duration::from_secs(10);
    for (test, outcome) in [
        ("control::fails", Outcome::Guest(1)),
        ("control::hangs", Outcome::Silent { limit }),
        ("control::spins", Outcome::Silent { limit }),
        ("control::crashes", Outcome::Guest(4)),
    ] {
        trials.push(trial(test, move || control(test, limit, &outcome)));
    }
    trials.push(trial("control::stored_once", stored_once));
    trials.push(trial("control::kept_rights", kept_rights));
    trials
}

/// CPUs that are not told that a page has lost a right go on using it.
fn kept_rights() -> Result<()> {
    let append = "mode=selftest test=translation::rights_that_go_are_kept";
    let run = Boot::new("control::kept_rights", "smp-power9", append)?.run()?;
    run.expect(&Outcome::Guest(1))?;
    let transcript = &run.finished.transcript;
    ensure!(
        transcript.contains(": 0x0, 0x0 with Some(Constants)"),
        "{transcript}"
    );
    Ok(())
}

/// Without the second store, QEMU loses words that are written while another CPU runs them. It does
/// so by chance, which a busy host may leave none of for a while.
fn stored_once() -> Result<()> {
    const TEST: &str = "text::other_cpus::words_stored_once_are_run";
    let append = format!("mode=selftest test={TEST}");
    for _ in 0..5 {
        let run = Boot::new("control::stored_once", "smp-power9", &append)?.run()?;
        if run.finished.outcome != Outcome::Guest(0) {
            run.expect(&Outcome::Guest(1))?;
            ensure!(
                run.finished.transcript.contains("words were not run"),
                "{}",
                run.finished.transcript
            );
            return Ok(());
        }
    }
    bail!("no word was lost, and none should have to be stored twice")
}

/// All of them pass on a machine. With exact time, what they repeat is the same again.
fn selftest(name: &str, machine: &str) -> Result<()> {
    let short = if machine == ICOUNT { " short=yes" } else { "" };
    selected(name, machine, &format!("mode=selftest{short}"))
}

/// Those that boot arguments choose pass on a machine.
pub fn selected(name: &str, machine: &str, append: &str) -> Result<()> {
    let run = Boot::new(name, machine, append)?.run()?;
    let failures = failures(&run)?;
    ensure!(
        failures.is_empty(),
        "self-tests failed:{failures}\n{}\nconsole:\n{}",
        run.finished.outcome,
        run.finished.transcript
    );
    run.expect(&Outcome::Guest(0))?;
    let tests = run.events("test");
    let passed = tests
        .iter()
        .filter(|test| test["outcome"] == "pass")
        .count();
    let summary = run.event("summary")?;
    ensure!(passed > 0, "no self-test passed: {summary}");
    ensure!(
        summary["passed"] == passed
            && summary["failed"] == 0
            && summary["skipped"] == tests.len() - passed,
        "the summary differs from the {} tests, {passed} of them passed: {summary}",
        tests.len()
    );
    println!(
        "{name}: {passed} self-tests passed, {} skipped; {} pairs of locks",
        tests.len() - passed,
        pairs_of_locks(&run)?
    );
    if append == "mode=selftest" && machine == MACHINES[0] {
        list(&run)?;
    }
    if Machine::find(machine)?.icount {
        none_is_silent_for_long(&run)?;
    }
    Ok(())
}

/// How many pairs of locks were taken, one while the other was held, all in order.
fn pairs_of_locks(run: &Run) -> Result<usize> {
    let mut lines = run.finished.transcript.lines();
    let pairs = lines.find_map(|line| line.strip_suffix(" pairs of locks were taken in order"));
    let pairs = pairs.context("nothing is said of locks")?.parse()?;
    ensure!(pairs > 50, "only {pairs} pairs of locks were looked at");
    Ok(pairs)
}

/// No test works for long without a sign of life. Where time counts instructions, how
/// long it takes does not depend on what else the host does.
fn none_is_silent_for_long(run: &Run) -> Result<()> {
    let hz = run.event("boot")?["timebase_hz"].as_f64();
    let hz = hz.context("no frequency")?;
    let mut reported = false;
    for record in &run.records {
        match record["event"].as_str() {
            Some("progress") => reported = true,
            Some("test") => {
                let seconds = record["ticks"].as_f64().context("no ticks")? / hz;
                ensure!(
                    seconds < SILENCE || reported,
                    "{} runs for {seconds:.1} s and reports no progress (`console::progress`)",
                    record["name"]
                );
                reported = false;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The self-tests that failed, each on a line.
fn failures(run: &Run) -> Result<String> {
    let mut list = String::new();
    for test in run
        .events("test")
        .iter()
        .filter(|test| test["outcome"] == "fail")
    {
        write!(list, "\n  {}: {}", test["name"], test["message"])?;
    }
    Ok(list)
}

/// What `mode=list` names is what `mode=selftest` runs, and the controls.
fn list(run: &Run) -> Result<()> {
    let list = Boot::new("selftest::list", "default", "mode=list")?.run()?;
    list.expect(&Outcome::Guest(0))?;
    let names: Vec<&str> = run
        .events("test")
        .iter()
        .filter_map(|t| t["name"].as_str())
        .collect();
    ensure!(!names.is_empty(), "no self-test ran");
    let transcript = &list.finished.transcript;
    let listed: Vec<&str> = transcript
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for name in names.into_iter().chain([
        "control::fails",
        "control::hangs",
        "control::spins",
        "control::crashes",
    ]) {
        ensure!(
            listed.contains(&name),
            "{name} is not in the list:\n{transcript}"
        );
    }
    Ok(())
}

fn control(test: &str, limit: Duration, outcome: &Outcome) -> Result<()> {
    let append = format!("mode=selftest test={test}");
    let run = Boot::new(test, "default", &append)?.silence(limit).run()?;
    run.expect(outcome)?;
    if *outcome == Outcome::Guest(1) {
        ensure!(
            run.event("summary")?["failed"] == 1,
            "the summary shows no failure"
        );
        ensure!(
            failures(&run)?.contains(test),
            "the report does not name {test}"
        );
    }
    Ok(())
}
