//! Tests that type on the guest's console.

use crate::harness::{Boot, trial};
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use std::time::Duration;
use xtask::outcome::Outcome;

pub fn trials() -> Vec<Trial> {
    vec![trial("console::echo", echo), trial("console::waits", waits)]
}

/// Lines come back as they were typed.
fn echo() -> Result<()> {
    let mut guest = Boot::new("console::echo", "default", "mode=echo")?.start()?;
    guest.expect("> ")?;
    for line in [
        "hello",
        "a longer line, with = and % and \"quotes\"",
        "",
        " x",
    ] {
        guest.send_line(line)?;
        let answer = guest.expect("> ")?.replace('\r', "");
        let expected = format!("{line}\n> ");
        ensure!(
            answer.ends_with(&expected),
            "typed {line:?}, got back {answer:?}"
        );
    }
    guest.send_line("quit")?;
    let finished = guest.finish();
    ensure!(
        finished.outcome == Outcome::Guest(0),
        "{}",
        finished.outcome
    );
    Ok(())
}

/// A guest that waits for input waits until it has been silent for too long.
fn waits() -> Result<()> {
    let limit = Duration::from_secs(1);
    let run = Boot::new("console::waits", "default", "mode=echo")?
        .silence(limit)
        .run()?;
    run.expect(&Outcome::Silent { limit })
}
