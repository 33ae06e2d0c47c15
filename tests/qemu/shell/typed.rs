//! What is typed, key by key.

use super::{ask, ends, has, prompt, started};
use crate::harness;
use anyhow::{Context, Result, bail, ensure};
use std::io::Write as _;
use std::time::{Duration, Instant};
use xtask::built::{Inputs, Record};
use xtask::image::Image;
use xtask::modules::Conventions;
use xtask::outcome::Outcome;

/// What is typed to see how soon it is shown; no part of it begins another one.
const KEYS: &str = "the quick brown fox jumps over a lazy dog";

/// With everything built, nothing is in the way from the command to the prompt: cargo is
/// not asked, and to see that it need not be takes less than the boot.
pub fn at_once() -> Result<()> {
    let (kernel, all) = (harness::kernel(Image::Klplab)?, Conventions::all());
    let begin = Instant::now();
    let record = Record::of(kernel, &all);
    ensure!(
        record.holds(&Inputs::look(Image::Klplab)?),
        "the build has left no record that holds"
    );
    ensure!(xtask::kernel::build(Image::Klplab, &all)? == kernel);
    let looked = begin.elapsed();
    let guest = started("shell::at_once", Image::Klplab)?;
    let (whole, boot) = (begin.elapsed(), begin.elapsed() - looked);
    println!("with all built, it is {whole:?} to the prompt, {looked:?} of it to see that");
    ensure!(looked < boot, "{looked:?} to look, {boot:?} to boot");
    ends(guest, &Outcome::Guest(0))
}

/// Keys edit, Tab completes, and earlier lines come back.
pub fn editing() -> Result<()> {
    let mut guest = started("shell::editing", Image::Klplab)?;
    // Home, a letter put in front, End: `call balance 1`.
    guest.send_line("all balanc\x01c\x05e 1")?;
    guest.expect("balance(1) = 10100")?;
    prompt(&mut guest)?;
    // The line before, and a digit more.
    guest.send_line("\x1b[A0")?;
    guest.expect("balance(10) = 11045")?;
    prompt(&mut guest)?;
    guest.send_line("ena\ttwo_p\t")?;
    guest.expect("patch `two_percent` is enabled")?;
    prompt(&mut guest)?;
    guest.send_line("dis bank::bal\t")?;
    guest.expect("attached: livepatch")?;
    prompt(&mut guest)?;
    guest.send_line("bt liv\t")?;
    guest.expect("livepatch::worker::work")?;
    prompt(&mut guest)?;
    // Given up, and nothing of it left.
    guest.send_line("rubbish\x03call balance 5")?;
    guest.expect("balance(5) = 11040")?;
    prompt(&mut guest)?;
    // A mistake that the user sees makes no failure of the run.
    has(&ask(&mut guest, "bogus")?, &["expected a command"])?;
    ends(guest, &Outcome::Guest(0))
}

/// Each key is shown before the next one is typed, and soon.
pub fn echo() -> Result<()> {
    let mut guest = started("shell::echo", Image::Klplab)?;
    // Threads that take the CPU whenever they can.
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
pub fn interrupts() -> Result<()> {
    let mut guest = started("shell::interrupts", Image::Test)?;
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

/// A patch that faults loses its thread and is taken back; the shell goes on.
pub fn faults() -> Result<()> {
    let mut guest = started("shell::faults", Image::Test)?;
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

/// Lines that are pasted while a command runs are all run afterwards, in order. When
/// they are too many, this is said, and no half of one is run.
pub fn paste(label: &str) -> Result<()> {
    let mut guest = started(label, Image::Test)?;
    ask(&mut guest, "spawn sleeper")?;
    ask(&mut guest, "enable two_percent nowait")?;
    let lines: String = (0..200)
        .map(|number| format!("call leaf {number}      # one line of many\r"))
        .collect();
    let comments = format!("#{:-<200}\r", "").repeat(400);
    guest.send_line(&format!("wait\r{lines}{comments}"))?;
    guest.expect("wait: the transition goes on")?;
    guest.expect("lines were lost: more than 65536 characters")?;
    for number in 0..200 {
        let answer = format!("leaf({number}) = {}\n", 3 * number + 1);
        guest.expect(&answer)?;
    }
    guest.send_line("kill all")?;
    let seen = guest.expect("1 thread has ended")?;
    ensure!(!seen.contains("expected a command"), "{seen}");
    prompt(&mut guest)?;
    ends(guest, &Outcome::Guest(0))
}
