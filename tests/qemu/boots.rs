//! Plain boots, on every machine and through every entrance.

use crate::harness::{Boot, Run, ignorable, kernel, trial};
use anyhow::{Context, Result, ensure};
use libtest_mimic::{Completion, Trial};
use object::{Object, ObjectSection, ObjectSymbol};
use report::Verdict;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use xtask::guest::{Finished, Guest, Limits};
use xtask::image::Image;
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

/// By which tables addresses can be translated, beside what a processor does by itself.
const TRANSLATED: [(&str, &str); 6] = [
    ("default", "hash"),
    ("power10", "hash"),
    ("power8", "off"),
    ("default", "off"),
    ("power10", "off"),
    ("smp-slof-power9", "hash"),
];

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
    for (machine, tables) in TRANSLATED {
        let name = format!("boot::{machine}-mmu-{tables}");
        trials.push(trial(&name.clone(), move || {
            translated(&name, machine, tables)
        }));
    }
    trials.push(trial("refused::radix", no_radix));
    trials.push(trial("cpus::too-many", too_many_cpus));
    trials.push(trial("cpus::silent", silent_cpu));
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
    // All that the shapes have: none has more than the kernel uses.
    expect_field(record, "cpus", &json!(machine.cpu_count()))?;
    expect_field(record, "cpus_up", &json!(machine.cpu_count()))?;
    expect_field(record, "entry", &json!("open-firmware"))?;
    expect_field(
        record,
        "cpu",
        &json!(format!("PowerPC,{}", machine.cpu.to_uppercase())),
    )?;
    // A POWER8 has no radix tree.
    let tables = if machine.cpu == "power8" {
        "hash"
    } else {
        "radix"
    };
    expect_field(record, "mmu", &json!(tables))?;
    ensure!(
        record["symbols"].as_u64() > Some(100),
        "few symbols: {record}"
    );
    println!("{name} took {:.2} s", run.finished.wall.as_secs_f64());
    Ok(Completion::Completed)
}

/// The demonstration passes by these tables, and the map says what each area's pages allow.
fn translated(name: &str, machine: &str, tables: &str) -> Result<()> {
    let run = Boot::new(name, machine, &format!("mmu={tables}"))?.run()?;
    run.expect(&Outcome::Guest(0))?;
    expect_field(run.event("boot")?, "mmu", &json!(tables))?;
    for (area, access) in [
        ("kernel code", "R-X"),
        ("kernel constants", "R--"),
        ("kernel data", "RW-"),
        ("modules", "---"),
        ("stacks", "---"),
    ] {
        let areas = run.events("area");
        let found = areas.iter().find(|found| found["name"] == area);
        expect_field(found.context(area)?, "access", &json!(access))?;
    }
    Ok(())
}

/// A processor that lacks the tree says so.
fn no_radix() -> Result<()> {
    let run = Boot::new("refused::radix", "power8", "mmu=radix")?.run()?;
    run.expect(&Outcome::Guest(Verdict::BadPlatform.status()))?;
    let transcript = &run.finished.transcript;
    let why = "can't run on this machine: the processor has no radix tree";
    ensure!(transcript.contains(why), "{transcript}");
    Ok(())
}

/// More CPUs than the kernel uses: it says so, and goes on with those that it does.
fn too_many_cpus() -> Result<()> {
    let run = Boot::new("cpus::too-many", "default", "")?
        .cpus("9")
        .run()?;
    expect_cpus(
        &run,
        9,
        8,
        "8 of 9 CPUs are used: the kernel uses 8 at most",
    )
}

/// A CPU that firmware starts and that does not come up: it spins at its first instruction.
/// The kernel says so after a while, and goes on without it.
fn silent_cpu() -> Result<()> {
    const FIRST: &str = "secondary_start";
    /// `b .` in big endian, in which firmware starts CPUs.
    const SPIN: [u8; 4] = [0x48, 0, 0, 0];
    let mut elf = std::fs::read(kernel(Image::Klplab)?)?;
    let place = {
        let file = object::File::parse(&elf[..])?;
        let symbol = file.symbol_by_name(FIRST).context(FIRST)?;
        let section = file.section_by_index(symbol.section_index().context(FIRST)?)?;
        let (start, _) = section.file_range().context("no text in the file")?;
        (start + symbol.address() - section.address()) as usize
    };
    elf[place..place + SPIN.len()].copy_from_slice(&SPIN);
    let spins = Path::new(env!("CARGO_TARGET_TMPDIR")).join("silent-cpu.elf");
    std::fs::write(&spins, elf)?;
    let built = Boot::new("cpus::silent", "smp-power9", "")?;
    let initrd = built.qemu()?.initrd.context("no initrd")?;
    let run = built.kernel(&spins).initrd(&initrd).run()?;
    let line = "the CPU with hardware id 1 is not used: it has not come up within 5s";
    expect_cpus(&run, 4, 1, line)
}

/// The demonstration has passed on fewer CPUs than there are, and a line says why.
fn expect_cpus(run: &Run, cpus: u32, up: u32, line: &str) -> Result<()> {
    run.expect(&Outcome::Guest(0))?;
    let record = run.event("boot")?;
    expect_field(record, "cpus", &json!(cpus))?;
    expect_field(record, "cpus_up", &json!(up))?;
    let transcript = &run.finished.transcript;
    ensure!(
        transcript.lines().any(|said| said == line)
            && transcript.contains(&format!("{cpus} x PowerPC,POWER9, {up} of them used")),
        "{transcript}"
    );
    Ok(())
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
