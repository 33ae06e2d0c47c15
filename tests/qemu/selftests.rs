//! The kernel's self-tests, and whether they can fail at all.

use crate::harness::{Boot, Run, trial};
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use std::fmt::Write as _;
use std::time::Duration;
use xtask::outcome::Outcome;

/// Where the self-tests run: on each processor, and with exact time.
const MACHINES: [&str; 4] = ["power8", "default", "power10", "icount"];

/// They take a few seconds, and more where other work goes on.
const LIMIT: Duration = Duration::from_secs(60);

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for machine in MACHINES {
        let name = format!("selftest::{machine}");
        trials.push(trial(&name.clone(), move || selftest(&name, machine)));
    }
    // Tests of the kernel that run only when named, and never pass.
    let limit = Duration::from_secs(3);
    for (test, outcome) in [
        ("control::fails", Outcome::Guest(1)),
        ("control::hangs", Outcome::TimedOut { limit }),
        ("control::crashes", Outcome::Guest(4)),
    ] {
        trials.push(trial(test, move || control(test, limit, &outcome)));
    }
    trials
}

fn selftest(name: &str, machine: &str) -> Result<()> {
    let run = Boot::new(name, machine, "mode=selftest")?
        .limit(LIMIT)
        .run()?;
    let failures = failures(&run)?;
    ensure!(failures.is_empty(), "self-tests failed:{failures}");
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
        "{name}: {passed} self-tests passed, {} skipped",
        tests.len() - passed
    );
    if machine == MACHINES[0] {
        list(&run)?;
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
    for name in names
        .into_iter()
        .chain(["control::fails", "control::hangs", "control::crashes"])
    {
        ensure!(
            listed.contains(&name),
            "{name} is not in the list:\n{transcript}"
        );
    }
    Ok(())
}

fn control(test: &str, limit: Duration, outcome: &Outcome) -> Result<()> {
    let append = format!("mode=selftest test={test}");
    let run = Boot::new(test, "default", &append)?.limit(limit).run()?;
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
