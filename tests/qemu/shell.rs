//! The monitor: what is typed, what is piped in, and what no user would type.

mod scripts;
mod shown;
mod typed;

use crate::harness::{Boot, trial};
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use xtask::guest::{Finished, Guest};
use xtask::image::Image;
use xtask::outcome::Outcome;

pub use typed::paste;

const PROMPT: &str = "klplab> ";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("shell::at_once", typed::at_once),
        trial("shell::fuzz", || fuzz("shell::fuzz", "default", 15_000)),
        trial("cpus::enabling", enabling_with_idle_cpus),
        trial("shell::fuzz_smp", || {
            fuzz("shell::fuzz_smp", "smp-power9", 10_000)
        }),
        trial("shell::forced", forced),
        trial("shell::examples", || {
            scripts::examples(Image::Klplab, "default")
        }),
        trial("shell::examples::all", || {
            scripts::examples(Image::Test, "icount")
        }),
        trial("shell::elsewhere", scripts::elsewhere),
        trial("shell::script", scripts::script),
        trial("shell::script::passes", scripts::passes),
        trial("shell::variants", shown::variants),
        trial("shell::script::hangs", scripts::hangs),
        trial("shell::arguments", scripts::arguments),
        trial("shell::editing", typed::editing),
        trial("shell::echo", typed::echo),
        trial("shell::interrupts", typed::interrupts),
        trial("shell::transition", shown::transition),
        trial("shell::cpus", shown::cpus),
        trial("shell::disassembly", shown::disassembly),
        trial("shell::faults", typed::faults),
        trial("shell::step", shown::step),
        trial("shell::names", shown::names),
        trial("shell::whole", shown::whole),
        trial("shell::found", shown::found),
        trial("shell::paste", || paste("shell::paste")),
    ]
}

fn boot(label: &str, image: Image, arguments: &str) -> Result<Boot> {
    let append = format!("mode=shell {arguments}");
    Boot::new(label, "default", append.trim())?.image(image)
}

/// Runs a script, its end included.
fn piped(label: &str, image: Image, machine: &str, script: &str) -> Result<Finished> {
    let boot = Boot::new(label, machine, "mode=shell input=script")?.image(image)?;
    let mut guest = boot.start()?;
    // Type-ahead waits in the pipe, so all can be written at once.
    guest.send_line(script)?;
    guest.send_line("\x04")?;
    Ok(guest.finish())
}

/// What it takes to enable and to disable a patch of one function while three other CPUs idle, theirs
/// included: where time counts instructions, it counts those of all CPUs.
fn enabling_with_idle_cpus() -> Result<()> {
    const MOST: f64 = 200_000.0;
    let script = "load two_percent; enable two_percent; wait; disable two_percent; wait; dmesg";
    let done = piped("cpus::enabling", Image::Klplab, "icount-smp", script)?;
    ensure!(done.outcome == Outcome::Guest(0), "{}", done.outcome);
    let at = |what: &str| -> Result<f64> {
        let line = done.transcript.lines().find(|line| line.contains(what));
        let time = line.and_then(|line| line.strip_prefix('[')?.split(']').next());
        Ok(time
            .with_context(|| format!("no `{what}`"))?
            .trim()
            .parse()?)
    };
    for (what, first, last) in [
        (
            "enabled",
            "enabling patch 'two_percent'",
            "'two_percent': patching complete",
        ),
        (
            "disabled",
            "'two_percent': initializing unpatching",
            "'two_percent': unpatching complete",
        ),
    ] {
        let instructions = 1e9 * (at(last)? - at(first)?);
        println!("cpus::enabling: {what} in {instructions:.0} instructions of four CPUs");
        ensure!(
            (1.0..MOST).contains(&instructions),
            "{what} in {instructions} instructions"
        );
    }
    Ok(())
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

fn started(label: &str, image: Image) -> Result<Guest> {
    let mut guest = boot(label, image, "")?.start()?;
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

/// So many random lines leave the kernel as it was.
pub fn fuzz(label: &str, machine: &str, lines: u32) -> Result<()> {
    let done = piped(
        label,
        Image::Test,
        machine,
        &format!("fuzz {lines} 20161116"),
    )?;
    let end = format!("{lines} lines in ");
    has(&done.transcript, &[&end, "the kernel is as before"])?;
    ensure!(done.outcome == Outcome::Guest(0), "{}", done.outcome);
    Ok(())
}

/// With transitions forced, it still goes on.
fn forced() -> Result<()> {
    let done = piped(
        "shell::forced",
        Image::Test,
        "default",
        "fuzz 5000 3 forced; call balance 3",
    )?;
    has(&done.transcript, &["5000 lines in ", "balance(3) = 1"])?;
    ensure!(done.outcome == Outcome::Guest(0), "{}", done.outcome);
    Ok(())
}
