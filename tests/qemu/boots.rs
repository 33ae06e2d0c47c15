//! Plain boots, on every machine and through every entrance.

use crate::harness::{Boot, ignorable, trial};
use anyhow::{Result, ensure};
use libtest_mimic::{Completion, Trial};
use report::Verdict;
use serde_json::{Value, json};
use std::process::Command;
use xtask::guest::{Finished, Guest, Limits};
use xtask::machine::{Firmware, Machine};
use xtask::outcome::Outcome;

/// A second entry: the boot argument's value, and how the kernel then sees
/// that it was entered.
const ENTRANCES: [(&str, &str, &str); 3] = [
    ("little-endian", "open-firmware", "little"),
    ("flat-tree", "flat-tree", "little"),
    ("flat-tree-big-endian", "flat-tree", "big"),
];

/// Where those are tried.
const ENTERED: [&str; 3] = ["slof-power9", "power8", "power10"];

pub fn trials() -> Vec<Trial> {
    // A malformed table is one failing trial and not a panic.
    let mut machines = match Machine::all() {
        Ok(machines) => machines,
        Err(error) => return vec![trial("boot", move || Err(anyhow::anyhow!("{error:#}")))],
    };
    machines.sort_by_key(|machine| machine.firmware != Firmware::Slof);
    let mut trials = Vec::new();
    for machine in machines {
        let name = format!("boot::{}", machine.name);
        trials.push(ignorable(&name.clone(), move || boot(&name, &machine)));
    }
    for machine in ENTERED {
        for (word, entry, endian) in ENTRANCES {
            let name = format!("reenter::{word}::{machine}");
            trials.push(trial(&name.clone(), move || {
                reenter(&name, machine, word, entry, endian)
            }));
        }
    }
    trials.push(trial("refused::boot-arguments", arguments));
    trials.push(trial("refused::no-terminal", no_terminal));
    trials
}

/// Boot arguments that are too long: there is no device tree then, and the kernel says so,
/// with its status, and powers off.
fn arguments() -> Result<()> {
    for (machine, length) in [
        ("default", 2100),
        ("default", 70_000),
        ("slof-power9", 2100),
    ] {
        let append = format!("mode=shell -- {}", "y".repeat(length));
        let label = format!("refused::boot-arguments-{length}");
        let finished = Boot::new(&label, machine, &append)?.start()?.finish();
        let Finished {
            outcome,
            transcript,
            ..
        } = &finished;
        ensure!(
            *outcome == Outcome::Guest(Verdict::BadPlatform.status())
                && transcript.contains("can't run on this machine: no device tree: reading the tree from Open Firmware: the boot arguments are not UTF-8 or longer than 2048 bytes"),
            "{machine}, {length} bytes: {outcome}\n{transcript}"
        );
    }
    Ok(())
}

/// Without any terminal the kernel can't say why it does not run; it powers off.
fn no_terminal() -> Result<()> {
    let qemu = Boot::new("refused::no-terminal", "default", "")?.qemu()?;
    let with_terminals = qemu.command();
    let mut command = Command::new(with_terminals.get_program());
    let mut arguments = with_terminals.get_args();
    while let Some(argument) = arguments.next() {
        if argument == "-serial" {
            arguments.next();
        } else {
            command.arg(argument);
        }
    }
    let finished = Guest::start_command(command, false, Some(Limits::default()))?.finish();
    ensure!(
        finished.outcome == Outcome::NoVerdict,
        "{}\n{}",
        finished.outcome,
        finished.transcript
    );
    Ok(())
}

fn boot(name: &str, machine: &Machine) -> Result<Completion> {
    let run = Boot::new(name, &machine.name, "")?.run()?;
    if machine.kind != "pseries" && run.machine_is_unknown() {
        return Ok(Completion::ignored_with(format!(
            "this QEMU has no {}",
            machine.kind
        )));
    }
    run.expect(&Outcome::Guest(0))?;
    let record = run.event("boot")?;
    expect_field(record, "memory_bytes", &json!(machine.memory_bytes()))?;
    expect_field(record, "cpus", &json!(1))?;
    expect_field(record, "entry", &json!("open-firmware"))?;
    expect_field(
        record,
        "cpu",
        &json!(format!("PowerPC,{}", machine.cpu.to_uppercase())),
    )?;
    ensure!(
        record["symbols"].as_u64() > Some(100),
        "few symbols: {record}"
    );
    println!("{name} took {:.2} s", run.finished.wall.as_secs_f64());
    Ok(Completion::Completed)
}

fn reenter(name: &str, machine: &str, word: &str, entry: &str, endian: &str) -> Result<()> {
    let run = Boot::new(name, machine, &format!("reenter={word}"))?.run()?;
    run.expect(&Outcome::Guest(0))?;
    let record = run.event("boot")?;
    expect_field(record, "entry", &json!(entry))?;
    expect_field(record, "endian", &json!(endian))?;
    expect_field(
        record,
        "memory_bytes",
        &json!(Machine::find(machine)?.memory_bytes()),
    )
}

fn expect_field(record: &Value, field: &str, expected: &Value) -> Result<()> {
    ensure!(
        record[field] == *expected,
        "expected {field} to be {expected} in {record}"
    );
    Ok(())
}
