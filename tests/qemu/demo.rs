//! The demonstration: what it reports of transitions agrees with what it says.

use crate::harness::{Boot, Run, trial};
use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;
use xtask::machine::SHOWN;
use xtask::outcome::Outcome;

/// Where it is shown: on each processor, with exact time, and on several CPUs, by both firmwares.
const MACHINES: [&str; 6] = [
    "default",
    "power8",
    "power10",
    "icount",
    "smp-power10",
    "smp-slof-power9",
];

/// The patch and the direction of each transition, and whether it is reversed. The last two are
/// those of several CPUs.
const TRANSITIONS: [(&str, &str, bool); 8] = [
    ("two_percent", "enable", false),
    ("three_percent", "enable", false),
    ("three_percent", "disable", false),
    ("four_percent", "enable", false),
    ("three_percent", "enable", true),
    ("four_percent", "disable", false),
    ("two_percent", "enable", false),
    ("two_percent", "disable", false),
];

/// How many of them there are on one CPU.
const ON_ONE: usize = 6;

/// The threads of the kernel, but for the idle threads of further CPUs; and those of the
/// demonstration.
const THREADS: [&str; 3] = ["idle", "livepatch", "main"];
const BANK: [&str; 5] = ["broker", "gardener", "planner", "sleeper", "teller"];
const CASHIERS: [&str; 2] = ["cashier/1", "cashier/2"];

/// What is said on one CPU, and on several.
const ALONE: &str = "This machine has one CPU.";
const TOGETHER: &str = "  parallel  calls of two CPUs at once";

pub fn trials() -> Vec<Trial> {
    let on = |machine| {
        let name = format!("demo::{machine}");
        trial(&name.clone(), move || demo(&name, machine))
    };
    let mut trials: Vec<Trial> = MACHINES.map(on).into();
    trials.push(trial("demo::cpus", cpus));
    trials.push(trial("demo::variant", variant));
    trials.push(trial("demo::log", log));
    trials
}

fn demo(name: &str, machine: &str) -> Result<()> {
    shown(name, &Boot::new(name, machine, "")?)
}

/// As many CPUs as `make run` takes, and as many as the kernel uses.
fn cpus() -> Result<()> {
    for cpus in [SHOWN, "8"] {
        let name = format!("demo::cpus::{cpus}");
        shown(&name, &Boot::new(&name, "default", "")?.cpus(cpus))?;
    }
    Ok(())
}

fn shown(name: &str, boot: &Boot) -> Result<()> {
    let run = boot.run()?;
    run.expect(&Outcome::Guest(0))?;
    let transcript = &run.finished.transcript;
    ensure!(!transcript.contains("not ok"), "{transcript}");
    // Behind what the firmware prints.
    let own = transcript
        .lines()
        .skip_while(|line| !line.starts_with("klplab:"));
    let widest = own.map(|line| line.chars().count()).max();
    ensure!(widest <= Some(100), "a line has {widest:?} characters");
    let cpus = run.event("boot")?["cpus_up"].as_u64().context("no CPUs")? as usize;
    let said = [ALONE, TOGETHER].map(|words| transcript.contains(words));
    ensure!(said == [cpus == 1, cpus > 1], "{cpus} CPUs: {transcript}");
    transitions(&run, cpus)?;
    held(&run, cpus)?;
    let wall = run.finished.wall;
    println!("{name} took {:.2} s", wall.as_secs_f64());
    Ok(())
}

/// A transition as it was reported.
#[derive(Default)]
struct Seen<'a> {
    number: u64,
    over: Vec<&'a str>,
    back: Vec<&'a str>,
    reversed: bool,
    time: u64,
}

/// In each transition, each thread switches once; in one that is reversed, each thread
/// that has switched goes back once. Everything is reported in its order.
fn transitions(run: &Run, cpus: usize) -> Result<()> {
    let mut running: Option<Seen<'_>> = None;
    let mut ended = Vec::new();
    for record in &run.records {
        let text = |field: &str| record[field].as_str().context(format!("{field}: {record}"));
        let number = record["number"].as_u64();
        match (record["event"].as_str(), &mut running) {
            (Some("transition"), None) => {
                ensure!(record["reversed"] == false, "begins reversed: {record}");
                let number = number.context(format!("no number: {record}"))?;
                running = Some(Seen {
                    number,
                    ..Seen::default()
                });
                ended.push((text("patch")?, text("direction")?, false));
            }
            (Some("transition"), Some(seen)) => {
                ensure!(record["reversed"] == true, "another one begins: {record}");
                seen.reversed = true;
                if let Some(last) = ended.last_mut() {
                    last.2 = true;
                }
            }
            (Some("switch"), Some(seen)) => {
                let list = if seen.reversed {
                    &mut seen.back
                } else {
                    &mut seen.over
                };
                list.push(text("name")?);
            }
            (Some("transition_end"), Some(seen)) => {
                let (_, direction, reversed) = *ended.last().context("no transition")?;
                let enabled = (direction == "enable") != reversed;
                ensure!(record["enabled"] == enabled, "expected {enabled}: {record}");
                let bank = ended.len() <= ON_ONE;
                complete(seen, cpus, bank).with_context(|| format!("before {record}"))?;
            }
            (Some("switch" | "transition_end"), None) => bail!("in no transition: {record}"),
            _ => continue,
        }
        if let Some(seen) = &mut running {
            let time = record["time"].as_u64().context("no time")?;
            ensure!(
                number == Some(seen.number) && time >= seen.time,
                "of another transition, or too early: {record}"
            );
            seen.time = time;
        }
        if record["event"] == "transition_end" {
            running = None;
        }
    }
    ensure!(running.is_none(), "a transition has not ended");
    let expected = if cpus == 1 { ON_ONE } else { TRANSITIONS.len() };
    ensure!(
        ended == TRANSITIONS[..expected],
        "other transitions: {ended:?}"
    );
    Ok(())
}

/// The threads that switched, and back, are those that should: all of the kernel's, and of the
/// bank's or the cashiers.
fn complete(seen: &Seen<'_>, cpus: usize, bank: bool) -> Result<()> {
    let idle: Vec<String> = (1..cpus).map(|number| format!("idle/{number}")).collect();
    let callers = if bank { &BANK[..] } else { &CASHIERS };
    let all = [&THREADS, callers].concat().into_iter();
    let all: Vec<&str> = all.chain(idle.iter().map(String::as_str)).collect();
    let sorted = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<BTreeSet<_>>()
    };
    let (over, back) = (sorted(&seen.over), sorted(&seen.back));
    ensure!(
        over.len() == seen.over.len() && back.len() == seen.back.len(),
        "a thread went twice: {:?}, {:?}",
        seen.over,
        seen.back
    );
    if seen.reversed {
        ensure!(over == back, "{over:?} switched, {back:?} went back");
        ensure!(over.len() == all.len() - 1, "only {over:?} switched");
    } else {
        ensure!(over == sorted(&all), "only {over:?} switched");
    }
    Ok(())
}

/// The threads that slept in the old function were seen there, and the one that ran in it on
/// its CPU.
fn held(run: &Run, cpus: usize) -> Result<()> {
    let held = run.events("blocked");
    let name = |record: &&Value| record["name"].as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = held.iter().map(name).collect();
    let expected = ["sleeper", "planner", "sleeper", "cashier/2"];
    let expected = &expected[..if cpus == 1 { 3 } else { 4 }];
    ensure!(names == expected, "held: {held:?}");
    for record in held {
        let reason = record["reason"].as_str().unwrap_or_default();
        let is_expected = match record["name"].as_str() {
            Some("cashier/2") => reason.starts_with("it runs on CPU "),
            _ => reason.ends_with("::balance is on its stack"),
        };
        ensure!(is_expected, "{record}");
    }
    Ok(())
}

/// The default variant can be named.
fn variant() -> Result<()> {
    let run = Boot::new("demo::variant", "default", "variant=epilogue")?.run()?;
    run.expect(&Outcome::Guest(0))
}

/// What the kernel does stands between what is shown if that is asked for, and only then.
fn log() -> Result<()> {
    const LINES: [&str; 2] = [
        " debug: module `two_percent`",
        " info: livepatch: 'two_percent': patching complete",
    ];
    for (append, are_there) in [("log=debug", true), ("", false)] {
        let run = Boot::new("demo::log", "default", append)?.run()?;
        run.expect(&Outcome::Guest(0))?;
        let transcript = &run.finished.transcript;
        let found = LINES.map(|line| transcript.contains(line));
        ensure!(
            found == [are_there; 2],
            "`{append}`: {found:?} in {transcript}"
        );
    }
    Ok(())
}
