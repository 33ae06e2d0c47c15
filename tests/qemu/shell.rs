//! The monitor: what is typed, what is piped in, and what nobody would type.

use crate::harness::{self, Boot, trial};
use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};
use xtask::built::{Inputs, Record};
use xtask::guest::{Finished, Guest};
use xtask::modules::Conventions;
use xtask::outcome::Outcome;
use xtask::tool;

const PROMPT: &str = "klplab> ";

/// What is typed to see how soon it is shown; no part of it begins another one.
const KEYS: &str = "the quick brown fox jumps over a lazy dog";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("shell::at_once", at_once),
        trial("shell::fuzz", || fuzz("shell::fuzz", 100_000)),
        trial("shell::forced", forced),
        trial("shell::examples", examples),
        trial("shell::script", script),
        trial("shell::script::passes", passes),
        trial("shell::variants", variants),
        trial("shell::script::hangs", hangs),
        trial("shell::arguments", arguments),
        trial("shell::editing", editing),
        trial("shell::echo", echo),
        trial("shell::interrupts", interrupts),
        trial("shell::transition", transition),
        trial("shell::disassembly", disassembly),
        trial("shell::faults", faults),
        trial("shell::step", step),
        trial("shell::names", names),
        trial("shell::whole", whole),
        trial("shell::found", found),
        trial("shell::paste", || paste("shell::paste")),
    ]
}

fn boot(label: &str, arguments: &str) -> Result<Boot> {
    let append = format!("mode=shell {arguments}");
    Boot::new(label, "default", append.trim())
}

/// Runs a script, its end included.
fn piped(label: &str, machine: &str, script: &str) -> Result<Finished> {
    let boot = Boot::new(label, machine, "mode=shell input=script")?;
    let mut guest = boot.start()?;
    // Type-ahead waits in the pipe, so all can be written at once.
    guest.send_line(script)?;
    guest.send_line("\x04")?;
    Ok(guest.finish())
}

/// Waits for the prompt, and returns what came before it.
fn prompt(guest: &mut Guest) -> Result<String> {
    Ok(guest.expect(PROMPT)?.replace('\r', ""))
}

/// Types a line, and returns all up to the next prompt.
fn ask(guest: &mut Guest, line: &str) -> Result<String> {
    guest.send_line(line)?;
    // The editor shows the prompt but once, and the line behind it.
    prompt(guest)
}

fn started(label: &str) -> Result<Guest> {
    let mut guest = boot(label, "")?.start()?;
    prompt(&mut guest)?;
    Ok(guest)
}

fn ends(mut guest: Guest, outcome: &Outcome) -> Result<()> {
    guest.send_line("poweroff")?;
    let finished = guest.finish();
    ensure!(
        finished.outcome == *outcome,
        "expected: {outcome}, found: {}\n{}",
        finished.outcome,
        finished.transcript
    );
    Ok(())
}

fn has(text: &str, all: &[&str]) -> Result<()> {
    let missing: Vec<_> = all.iter().filter(|one| !text.contains(**one)).collect();
    ensure!(missing.is_empty(), "no {missing:?} in:\n{text}");
    Ok(())
}

/// With everything built, nothing is in the way from the command to the prompt: cargo is
/// not asked, and to see that it need not be takes less than the boot.
fn at_once() -> Result<()> {
    let (kernel, all) = (harness::kernel()?, Conventions::all());
    let begin = Instant::now();
    let record = Record::of(kernel, &all);
    ensure!(
        record.holds(&Inputs::look()?),
        "the build has left no record that holds"
    );
    ensure!(xtask::kernel::build_with(&all)? == kernel);
    let looked = begin.elapsed();
    let guest = started("shell::at_once")?;
    let (whole, boot) = (begin.elapsed(), begin.elapsed() - looked);
    println!("with all built, it is {whole:?} to the prompt, {looked:?} of it to see that");
    ensure!(looked < boot, "{looked:?} to look, {boot:?} to boot");
    ends(guest, &Outcome::Guest(0))
}

/// So many random lines leave the kernel as it was.
pub fn fuzz(label: &str, lines: u32) -> Result<()> {
    let done = piped(label, "default", &format!("fuzz {lines} 20161116"))?;
    let end = format!("{lines} lines in ");
    has(&done.transcript, &[&end, "the kernel is as before"])?;
    ensure!(done.outcome == Outcome::Guest(0), "{}", done.outcome);
    Ok(())
}

/// With transitions forced, it still goes on.
fn forced() -> Result<()> {
    let done = piped(
        "shell::forced",
        "default",
        "fuzz 5000 3 forced; call balance 3",
    )?;
    has(&done.transcript, &["5000 lines in ", "balance(3) = 1"])?;
    ensure!(done.outcome == Outcome::Guest(0), "{}", done.outcome);
    Ok(())
}

/// The example of each command works, from a kernel at rest.
fn examples() -> Result<()> {
    let list = piped("shell::examples", "default", "help examples")?;
    let (_, list) = list
        .transcript
        .split_once("help examples\n")
        .context("no list")?;
    let examples: Vec<&str> = list
        .lines()
        .take_while(|line| !line.starts_with("EXIT:"))
        .filter(|line| !line.trim().is_empty() && !line.starts_with(PROMPT))
        .collect();
    ensure!(
        examples.len() > 25,
        "only {} examples:\n{list}",
        examples.len()
    );
    // What stays for good would stay for the others too.
    let (gentle, forced): (Vec<&str>, Vec<&str>) = examples
        .iter()
        .partition(|example| !example.contains("force"));
    let mut script = String::new();
    for example in gentle.iter().chain(&forced) {
        // What ends the run comes last in any case.
        if *example != "poweroff" {
            script += &format!("{example}\nreset\n");
        }
    }
    script += "poweroff\n";
    let done = piped("shell::examples-run", "icount", &script)?;
    ensure!(
        done.outcome == Outcome::Guest(0),
        "{}:\n{}",
        done.outcome,
        done.transcript
    );
    for example in examples {
        has(&done.transcript, &[&format!("{PROMPT}{example}\n")])?;
    }
    Ok(())
}

/// A script is shown as if it had been typed, and fails if one of its commands does.
fn script() -> Result<()> {
    let script = "# nothing\n\ncall leaf 3; call leaf 4\nenabel demo\ncall leaf 0x10\nload demo extra\nmem x\ncall leaf x";
    let done = piped("shell::script", "default", script)?;
    has(
        &done.transcript,
        &[
            "klplab> # nothing\nklplab> \nklplab> call leaf 3; call leaf 4\nleaf(3) = 10\nleaf(4) = 13\n",
            "klplab> enabel demo\nerror: expected a command (`help` lists them), found `enabel`; did you mean `enable`?\n",
            "klplab> call leaf 0x10\nleaf(0x10) = 49\n",
            "load: expected `load MODULE`, such as `load two_percent`\n",
            "mem: takes no arguments\n",
            "call: expected NUMBER, a whole number from 0 to 1000000, found `x`\n",
        ],
    )?;
    ensure!(done.outcome == Outcome::Guest(1), "{}", done.outcome);
    Ok(())
}

/// A script whose commands all work passes.
fn passes() -> Result<()> {
    let script = "enable two_percent\ncall balance 3\ndisable two_percent\ncall balance 3\nunload two_percent\nreset";
    let done = piped("shell::script::passes", "default", script)?;
    has(
        &done.transcript,
        &[
            "patch `two_percent` is enabled; it replaces 1 function\nklplab> call balance 3\nbalance(3) = 10612\n",
            "patch `two_percent` is disabled\nklplab> call balance 3\nbalance(3) = 10303\n",
            "module `two_percent` is gone\n",
            "all is as it was when the shell began\n",
        ],
    )?;
    ensure!(done.outcome == Outcome::Guest(0), "{}", done.outcome);
    Ok(())
}

/// A module that was loaded for one variant is loaded anew for the next: in another return
/// convention, or with another TOC.
fn variants() -> Result<()> {
    let mut script = String::new();
    for variant in ["livepatch-stack", "shared-toc", "mini-frame", "epilogue"] {
        script += &format!(
            "variant {variant}\nenable two_percent\ncall balance 3\ndisable two_percent\n"
        );
    }
    let done = piped("shell::variants", "default", &script)?;
    let right = done.transcript.matches("\nbalance(3) = 10612\n").count();
    ensure!(
        done.outcome == Outcome::Guest(0) && right == 4,
        "{}: {right} of 4\n{}",
        done.outcome,
        done.transcript
    );
    Ok(())
}

/// A script that hangs the guest ends with a sentence, when the guest has been silent for
/// long enough; a script whose next line is late is waited for.
fn hangs() -> Result<()> {
    harness::kernel()?;
    let mut command = tool::cargo();
    command.args(["run", "--locked", "--quiet", "--package=xtask", "--"]);
    // The second limit ends a test that has lost the first.
    command.args(["shell", "--silence=10", "--timeout=300"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = tool::spawn(command.stderr(Stdio::piped()))?;
    let mut input = shell.stdin.take().context("no input")?;
    let mut printed = BufReader::new(shell.stdout.take().context("no output")?).lines();
    input.write_all(b"call leaf 3\n")?;
    printed.find(|line| matches!(line, Ok(line) if line == "leaf(3) = 10"));
    std::thread::sleep(Duration::from_secs(12));
    // What it has printed says whether it had ended by then.
    let _ = input.write_all(b"call leaf 4\nspawn busy 2\nenable test_klp_hangs\ncall leaf 5\n");
    drop(input);
    let printed = printed.collect::<Result<Vec<_>, _>>()?.join("\n");
    let output = shell.wait_with_output()?;
    ensure!(
        printed.contains("leaf(4) = 13\n") && !printed.contains("leaf(5)"),
        "{printed}"
    );
    let sentence = "klplab: no verdict: the guest printed and reported nothing for 10 s";
    has(&String::from_utf8_lossy(&output.stderr), &[sentence])?;
    ensure!(output.status.code() == Some(124), "{}", output.status);
    Ok(())
}

/// Commands in the boot arguments, and what a failed one comes to.
fn arguments() -> Result<()> {
    for (commands, status, text) in [
        (
            "call leaf 1; poweroff",
            0,
            "klplab> call leaf 1\nleaf(1) = 4\n",
        ),
        (
            "call leaf; poweroff",
            1,
            "expected `call leaf NUMBER (0 to 1000000)`, found 0 numbers",
        ),
    ] {
        let label = format!("shell::arguments::{status}");
        let run = boot(&label, &format!("-- {commands}"))?.run()?;
        run.expect(&Outcome::Guest(status))?;
        has(&run.finished.transcript, &[text])?;
    }
    Ok(())
}

/// Keys edit, Tab completes, and earlier lines come back.
fn editing() -> Result<()> {
    let mut guest = started("shell::editing")?;
    // Home, a letter put in front, End: `call leaf 3`.
    guest.send_line("all lea\x01c\x05f 3")?;
    guest.expect("leaf(3) = 10")?;
    prompt(&mut guest)?;
    // The line before, and a digit more.
    guest.send_line("\x1b[A0")?;
    guest.expect("leaf(30) = 91")?;
    prompt(&mut guest)?;
    guest.send_line("ena\ttwo_p\t")?;
    guest.expect("patch `two_percent` is enabled")?;
    prompt(&mut guest)?;
    guest.send_line("dis bank::bal\t")?;
    guest.expect("attached: livepatch")?;
    prompt(&mut guest)?;
    guest.send_line("bt liv\t")?;
    guest.expect("kernel::livepatch::worker::work")?;
    prompt(&mut guest)?;
    // Given up, and nothing of it left.
    guest.send_line("rubbish\x03call leaf 5")?;
    guest.expect("leaf(5) = 16")?;
    prompt(&mut guest)?;
    // A mistake of somebody who sees it makes no failure of the run.
    has(&ask(&mut guest, "bogus")?, &["expected a command"])?;
    ends(guest, &Outcome::Guest(0))
}

/// Each key is shown before the next one is typed, and soon.
fn echo() -> Result<()> {
    let mut guest = started("shell::echo")?;
    // Somebody takes the CPU whenever he can.
    ask(&mut guest, "spawn busy 2")?;
    let mut input = guest.take_input().context("no input")?;
    let mut times = Vec::new();
    for key in KEYS.bytes() {
        let start = Instant::now();
        input.write_all(&[key])?;
        input.flush()?;
        guest.expect(&char::from(key).to_string())?;
        times.push(start.elapsed());
    }
    times.sort();
    let (soon, late) = (times[times.len() / 4], times[times.len() - 1]);
    println!("a quarter of the keys is shown within {soon:?}, the slowest within {late:?}");
    // Other tests run beside this one, so most keys may be late.
    ensure!(
        soon < Duration::from_millis(20),
        "keys are shown after {times:?}"
    );
    Ok(())
}

/// ^C ends what would go on, and the prompt is there again.
fn interrupts() -> Result<()> {
    let mut guest = started("shell::interrupts")?;
    ask(&mut guest, "spawn sleeper")?;
    ask(&mut guest, "enable two_percent nowait")?;
    for endless in ["wait", "fuzz 10000000 5", "sites *"] {
        guest.send_line(endless)?;
        match endless {
            "wait" => guest.expect("wait")?,
            // It is refused while a patch is there.
            "fuzz 10000000 5" => {
                prompt(&mut guest)?;
                ask(&mut guest, "kill all; wait; reset")?;
                guest.send_line(endless)?;
                guest.expect("random lines of seed")?
            }
            _ => guest.expect("nothing attached")?,
        };
        guest.send_line("\x03")?;
        let Ok(seen) = guest.expect("interrupted") else {
            bail!("`{endless}` goes on");
        };
        drop(seen);
        // Behind ^C comes the end of an empty line.
        prompt(&mut guest)?;
        prompt(&mut guest)?;
    }
    has(&ask(&mut guest, "call leaf 2")?, &["leaf(2) = 7"])?;
    ends(guest, &Outcome::Guest(0))
}

/// Who holds a transition up, and what can be done about it.
fn transition() -> Result<()> {
    let script = "spawn sleeper\nenable two_percent\ntransition\nthreads\nreverse\nwait\npatches\nenable two_percent nowait\nkill sleeper\nwait\npatches\nspawn sleeper\ndisable two_percent\nforce\npatches\nunload two_percent";
    let done = piped("shell::transition", "default", script)?;
    has(
        &done.transcript,
        &[
            "patch `two_percent`: 1 of 4 threads have still to go over",
            "no             kernel::bank::balance is on its stack",
            "has still to go over",
            "klplab> patches\nno patch is enabled",
            "klplab> patches\ntwo_percent: enabled; handed over by `epilogue`\n  kernel::bank::balance -> two_percent::balance\n",
            "1 threads were switched wherever they were. The price:",
            "unload: module `two_percent`",
        ],
    )?;
    // What was forced stays.
    ensure!(done.outcome == Outcome::Guest(1), "{}", done.outcome);
    Ok(())
}

/// The disassembly marks what has changed, and nothing else.
fn disassembly() -> Result<()> {
    let script = "dis balance\nenable two_percent\ndis balance\nreset\ndis balance";
    let done = piped("shell::disassembly", "default", script)?;
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

/// A patch that faults loses its thread and is taken back; the shell goes on.
fn faults() -> Result<()> {
    let mut guest = started("shell::faults")?;
    for kind in 1..=3 {
        ask(&mut guest, "enable test_klp_faulty")?;
        let line = format!("call faulty {kind}");
        has(&ask(&mut guest, &line)?, &["was stopped by a fault"])?;
        has(&ask(&mut guest, "reset")?, &["all is as it was"])?;
        has(
            &ask(&mut guest, &line)?,
            &[&format!("faulty({kind}) = {kind}")],
        )?;
    }
    ends(guest, &Outcome::Guest(0))
}

/// A step shows a call as calls go now: in a transition that does not end, and under a
/// tracer, unless that would trace the step's own work.
fn step() -> Result<()> {
    let script = "spawn sleeper\nenable two_percent nowait\nstep balance\nkill sleeper\nwait\nreset\n\
        trace function\nstep leaf\ntrace hits\ntrace off\nfilter kernel::victims::*\ntrace graph\nstep leaf\ncall leaf 3";
    let done = piped("shell::step", "default", script)?;
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
fn names() -> Result<()> {
    let script = "call noplace::leaf 3\ncall victims::leaf 3\nsym 0x0\nfilter balance\nfilter !noplace\nfilter\nselftest noplace\nselftest names";
    let done = piped("shell::names", "default", script)?;
    has(
        &done.transcript,
        &[
            "found `noplace::leaf`; did you mean `leaf`?\n",
            "leaf(3) = 10\n",
            "sym: expected an address inside a symbol, found `0x0`\n",
            "klplab> filter balance\ntraced:   kernel::bank::balance\n",
            "or a pattern with `*`, found `noplace`\nklplab> filter\ntraced:   kernel::bank::balance\n",
            "selftest: expected a test's path, the start of one up to `::`, or a pattern with `*`, found `noplace`\n",
            "test names::places_are_named ... ok\n",
        ],
    )?;
    ensure!(done.outcome == Outcome::Guest(1), "{}", done.outcome);
    Ok(())
}

/// What threads print cuts neither through one another's lines nor through a table.
fn whole() -> Result<()> {
    let tables = "exports\nthreads\nhelp\nsites kernel::victims::*\n".repeat(5);
    let script = format!("spawn caller 8\nenable test_klp_chatty\n{tables}reset");
    let done = piped("shell::whole", "default", &script)?;
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
        table.lines().map(|one| one != line).collect()
    };
    for table in tables {
        // All of the table, and then what has waited.
        let rows = plain(table);
        ensure!(rows.is_sorted_by(|one, next| one >= next), "cut:\n{table}");
    }
    Ok(())
}

/// What can be called and replaced is found, and what can't is told where to look.
fn found() -> Result<()> {
    let script = "exports bank*\ncall bank_paid_in 0 2\ncall rust_twice 4\ncall lab_second 1\n\
        sites kernel::bank::*\nexports nosuch\n\
        dis kernel::thread::spawn\nspawn sleeper\nbt sleeper";
    let done = piped("shell::found", "default", script)?;
    has(
        &done.transcript,
        &[
            "call  bank_paid_in             bank_paid_in\n",
            "bank_paid_in(0, 2) = 10000\n",
            "rust_twice(4) = 8\n",
            "lab_second(1) = 3\n",
            "kernel::bank::balance",
            "exports: expected an exported function's name, or a pattern with `*`",
            "`kernel::thread::spawn` is generic, and has code only where it is used;",
            "kernel::thread::spawn::<",
            // It calls itself once a year.
            "\n  ... kernel::bank::balance again, 3 frames\n",
        ],
    )?;
    Ok(())
}

/// Lines that are pasted while a command runs are all run afterwards, in order. When
/// they are too many, this is said, and no half of one is run.
pub fn paste(label: &str) -> Result<()> {
    let mut guest = started(label)?;
    ask(&mut guest, "spawn sleeper")?;
    ask(&mut guest, "enable two_percent nowait")?;
    let lines: String = (0..200)
        .map(|number| format!("call leaf {number}      # one line of many\r"))
        .collect();
    guest.send_line(&format!("wait\r{lines}"))?;
    guest.expect("wait: the transition goes on")?;
    for number in 0..200 {
        let answer = format!("leaf({number}) = {}\n", 3 * number + 1);
        guest.expect(&answer)?;
    }
    let comments = format!("#{:-<200}\r", "").repeat(400);
    guest.send_line(&format!("wait\r{comments}"))?;
    guest.expect("lines were lost: more than 65536 characters")?;
    guest.send_line("kill all")?;
    let seen = guest.expect("1 thread has ended")?;
    ensure!(!seen.contains("expected a command"), "{seen}");
    prompt(&mut guest)?;
    ends(guest, &Outcome::Guest(0))
}
