//! What commands show of the kernel.

use super::{PROMPT, ask, ends, has, piped, prompt};
use crate::harness::{Boot, until};
use anyhow::{Result, bail, ensure};
use xtask::image::Image;
use xtask::outcome::Outcome;

/// A module that was loaded for one variant is loaded anew for the next: in another return
/// convention, or with another TOC.
pub fn variants() -> Result<()> {
    let mut script = String::new();
    for variant in ["livepatch-stack", "shared-toc", "mini-frame", "epilogue"] {
        script += &format!(
            "variant {variant}\nenable two_percent\ncall balance 3\ndisable two_percent\n"
        );
    }
    let done = piped("shell::variants", Image::Klplab, "default", &script)?;
    let right = done.transcript.matches("\nbalance(3) = 10612\n").count();
    ensure!(
        done.outcome == Outcome::Guest(0) && right == 4,
        "{}: {right} of 4\n{}",
        done.outcome,
        done.transcript
    );
    Ok(())
}

/// Which thread blocks a transition, and what can be done about it.
pub fn transition() -> Result<()> {
    let script = "spawn sleeper\nenable two_percent\ntransition\nthreads\nreverse\nwait\npatches\nenable two_percent nowait\nkill sleeper\nwait\npatches\nspawn sleeper\ndisable two_percent\nforce\npatches\nunload two_percent";
    let done = piped("shell::transition", Image::Klplab, "default", script)?;
    has(
        &done.transcript,
        &[
            "patch `two_percent`: 1 of 4 threads have still to switch",
            "0 no             demo::bank::balance is on its stack",
            "thread               CPU has switched   if not, why",
            "has still to switch",
            "klplab> patches\nno patch is enabled",
            "klplab> patches\ntwo_percent: enabled; handed over by `epilogue`\n  demo::bank::balance -> two_percent::balance\n",
            "1 threads were switched wherever they were. The price:",
            "unload: module `two_percent`",
        ],
    )?;
    for (thread, side) in [("sleeper", "has still to switch"), ("main", "has switched")] {
        let row =
            |line: &&str| line.split_whitespace().nth(1) == Some(thread) && line.contains("KiB");
        let found = done.transcript.lines().find(row);
        ensure!(
            found.is_some_and(|row| row.ends_with(side)),
            "`{thread}` {side}: {found:?}"
        );
    }
    // What was forced stays.
    ensure!(done.outcome == Outcome::Guest(1), "{}", done.outcome);
    Ok(())
}

/// What is seen of several CPUs: which threads they run, and who was traced on which.
pub fn cpus() -> Result<()> {
    let mut guest = Boot::new("shell::cpus", "smp-power9", "mode=shell")?
        .image(Image::Klplab)?
        .start()?;
    prompt(&mut guest)?;
    ask(&mut guest, "spawn busy 2")?;
    ask(&mut guest, "spawn sleeper")?;
    // One row a CPU: this shell's thread and the two that never give way have one each.
    until(
        || ask(&mut guest, "cpus"),
        |table| {
            let rows: Vec<Vec<&str>> = (table.lines())
                .map(|line| line.split_whitespace().collect())
                .filter(|row: &Vec<&str>| row.first().is_some_and(|cpu| cpu.parse::<u32>().is_ok()))
                .collect();
            let numbered = (rows.iter().enumerate()).all(|(number, row)| {
                let number = number.to_string();
                row[..2] == [&number, &number]
            });
            let mut runs: Vec<&str> = rows.iter().map(|row| row[2]).collect();
            runs.sort_unstable();
            numbered && runs == ["busy-6", "busy-7", "idle", "main-0"]
        },
    )?;
    has(&ask(&mut guest, "bt busy-6")?, &["it runs on CPU "])?;
    // Threads that never give way would fill the trace from one CPU.
    ask(&mut guest, "kill busy")?;
    ask(&mut guest, "spawn caller 6")?;
    ask(&mut guest, "filter demo::bank::balance")?;
    ask(&mut guest, "trace function")?;
    let trace = until(
        || ask(&mut guest, "call balance 3; trace"),
        |trace| {
            let found = records(trace);
            found.iter().any(|record| record.0 != found[0].0)
        },
    )?;
    has(&trace, &["#P:4"])?;
    ensure!(
        records(&trace).is_sorted_by_key(|record| record.1),
        "records that are not in the order of time:\n{trace}"
    );
    ends(guest, &Outcome::Guest(0))
}

/// CPU and time of each record of a trace.
fn records(trace: &str) -> Vec<(&str, f64)> {
    (trace.lines())
        .filter_map(|line| {
            let (_, rest) = line.split_once("      [")?;
            let (cpu, rest) = rest.split_once("] ")?;
            let time = rest.split_whitespace().nth(1)?.strip_suffix(':')?;
            Some((cpu, time.parse().ok()?))
        })
        .collect()
}

/// The disassembly marks what has changed, and nothing else.
pub fn disassembly() -> Result<()> {
    let script = "dis balance\nenable two_percent\ndis balance\nreset\ndis balance";
    let done = piped("shell::disassembly", Image::Klplab, "default", script)?;
    let listings: Vec<Vec<&str>> = done
        .transcript
        .split("klplab> dis balance\n")
        .skip(1)
        .map(|listing| {
            listing
                .lines()
                .take_while(|line| !line.starts_with(PROMPT))
                .collect()
        })
        .collect();
    let [before, patched, after] = &listings[..] else {
        bail!("not three listings:\n{}", done.transcript);
    };
    let marked = |lines: &[&str]| -> Vec<String> {
        let marked = lines.iter().filter(|line| line.starts_with('*'));
        marked.map(|line| (*line).to_owned()).collect()
    };
    ensure!(marked(before).is_empty(), "{before:#?}");
    let [word] = &marked(patched)[..] else {
        bail!("not one word: {patched:#?}");
    };
    has(word, &["(stub, see below)", "site; at boot: nop"])?;
    let text = patched.join("\n");
    has(
        &text,
        &[
            "the stub that all its calls take now",
            "b two_percent::balance+0x",
        ],
    )?;
    let body = |lines: &[&str]| -> Vec<String> {
        lines[1..]
            .iter()
            .map(|line| (*line).to_owned())
            .filter(|line| line.starts_with(' '))
            .collect()
    };
    ensure!(
        body(before) == body(after) && before[0] == after[0],
        "{before:#?}\n{after:#?}"
    );
    Ok(())
}

/// A step shows a call as calls go now: in a transition that does not end, and under a
/// tracer, unless that would trace the step's own work.
pub fn step() -> Result<()> {
    let script = "spawn sleeper\nenable two_percent nowait\nstep balance\nkill sleeper\nwait\nreset\n\
        trace function\nstep leaf\ntrace hits\ntrace off\nfilter lab::targets::*\ntrace graph\nstep leaf\ncall leaf 3";
    let done = piped("shell::step", Image::Test, "default", script)?;
    let transcript = &done.transcript;
    has(
        transcript,
        &[
            "balance(0, 2), as-is, handed over by epilogue",
            "the call is to go on at the global entry of C",
            "r3 = 0x28a4 (10404)",
            "step: the kernel's own functions are traced, such as `",
            "leaf(5), as-is, handed over by epilogue",
            "r3 = 0x10 (16)",
            "leaf(3) = 10",
        ],
    )?;
    ensure!(
        transcript.matches("says the ABI sanitiser").count() == 2,
        "{transcript}"
    );
    // One step was refused.
    ensure!(done.outcome == Outcome::Guest(1), "{}", done.outcome);
    Ok(())
}

/// What a name or an address does not stand for is not taken for something else.
pub fn names() -> Result<()> {
    let script = "call noplace::leaf 3\ncall targets::leaf 3\nsym 0x0\nfilter balance\nfilter !noplace\nfilter\nselftest noplace\nselftest names";
    let done = piped("shell::names", Image::Test, "default", script)?;
    has(
        &done.transcript,
        &[
            "found `noplace::leaf`; did you mean `leaf`?\n",
            "leaf(3) = 10\n",
            "sym: expected an address inside a symbol, found `0x0`\n",
            "klplab> filter balance\ntraced:   demo::bank::balance\n",
            "or a pattern with `*`, found `noplace`\nklplab> filter\ntraced:   demo::bank::balance\n",
            "selftest: expected a test's path, the start of one up to `::`, or a pattern with `*`, found `noplace`\n",
            "test names::places_are_named ... ok\n",
        ],
    )?;
    ensure!(done.outcome == Outcome::Guest(1), "{}", done.outcome);
    Ok(())
}

/// What threads print cuts neither through one another's lines nor through a table.
pub fn whole() -> Result<()> {
    let tables = "exports\nthreads\nhelp\nsites lab::targets::*\n".repeat(5);
    let script = format!("spawn caller 8\nenable test_klp_chatty\n{tables}reset");
    let done = piped("shell::whole", Image::Test, "default", &script)?;
    ensure!(done.outcome == Outcome::Guest(0), "{}", done.outcome);
    let line = "chatty: 0 and 3, 3 in all; that is one line";
    let mut said = 0;
    for found in done
        .transcript
        .lines()
        .filter(|one| one.contains("chatty: "))
    {
        // The prompt of a script is a line of its own.
        ensure!(found == line, "cut: {found}");
        said += 1;
    }
    ensure!(said > 20, "only {said} lines:\n{}", done.transcript);
    let tables = done.transcript.split("klplab> exports\n").skip(1);
    let plain = |table: &str| -> Vec<bool> {
        let table = table.split(PROMPT).next().unwrap_or("");
        // What was printed before the table began is no part of it.
        let table = table.lines().skip_while(|one| *one == line);
        table.map(|one| one != line).collect()
    };
    for table in tables {
        // All of the table, and then what has waited.
        let rows = plain(table);
        ensure!(rows.is_sorted_by(|one, next| one >= next), "cut:\n{table}");
    }
    Ok(())
}

/// What can be called and replaced is found, and what can't is told where to look.
pub fn found() -> Result<()> {
    let script = "exports bank*\ncall bank_paid_in 0 2\ncall rust_twice 4\ncall lab_second 1\n\
        sites demo::bank::*\nexports nosuch\n\
        dis thread::run\nspawn sleeper\nbt sleeper";
    let done = piped("shell::found", Image::Test, "default", script)?;
    has(
        &done.transcript,
        &[
            "call  bank_paid_in             bank_paid_in\n",
            "bank_paid_in(0, 2) = 10000\n",
            "rust_twice(4) = 8\n",
            "lab_second(1) = 3\n",
            "demo::bank::balance",
            "exports: expected an exported function's name, or a pattern with `*`",
            "`thread::run` is generic, and has code only where it is used;",
            "thread::run::<",
            // It calls itself once a year.
            "\n  ... demo::bank::balance again, 3 frames\n",
        ],
    )?;
    Ok(())
}
