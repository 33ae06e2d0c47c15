//! What things cost, in instructions: exact, and compared with what was accepted.

use crate::golden;
use crate::harness::{Boot, Run, trial};
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use std::fmt::Write as _;
use xtask::outcome::Outcome;

/// The accepted counts, in `tests/golden`.
pub const GOLDEN: &str = "bench";

/// What depends on how many functions the kernel has, and where they lie. The
/// kernel holds these to their limits itself.
const LOOSE: [&str; 8] = [
    "sites", "switch_", "load_", "context_", "spawn_", "enable_", "disable_", "gap_",
];

/// What is measured once and as a whole.
const LONG: [&str; 6] = ["load_", "enable_", "disable_", "gap_", "spawn_", "context_"];

pub fn trials() -> Vec<Trial> {
    vec![
        trial("bench::counts", counts),
        trial("bench::inexact", inexact),
    ]
}

/// Two runs count the same, everything is within its limit, and the cost of a
/// call is what was accepted.
fn counts() -> Result<()> {
    let first = Boot::new("bench::counts", "icount", "mode=bench")?.run()?;
    first.expect(&Outcome::Guest(0))?;
    let second = Boot::new("bench::again", "icount", "mode=bench")?.run()?;
    let (all, again) = (rows(&first, &LONG)?, rows(&second, &LONG)?);
    ensure!(all == again, "two runs differ:\n{all}\n{again}");
    // A tick of the timebase is two instructions: one measurement as a whole
    // may begin on either side of one. Where the CPU is ceded meanwhile, the host's
    // clock has a say in when it goes on.
    for (one, other) in first.events("measure").iter().zip(second.events("measure")) {
        let (a, b) = (one["value"].as_u64(), other["value"].as_u64());
        let is_gap = one["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("gap_"));
        let close = |(a, b): (u64, u64)| a.abs_diff(b) <= if is_gap { a / 50 } else { 4 };
        ensure!(
            a.zip(b).is_some_and(close),
            "two runs differ: {one} and {other}"
        );
    }
    golden::compare(GOLDEN, "mode=bench", &rows(&first, &LOOSE)?)
}

/// Where time does not count instructions, the meter says so and fails.
fn inexact() -> Result<()> {
    let run = Boot::new("bench::inexact", "default", "mode=bench")?.run()?;
    run.expect(&Outcome::Guest(1))?;
    let transcript = &run.finished.transcript;
    ensure!(transcript.contains("not a whole number"), "{transcript}");
    Ok(())
}

/// The measurements, a line each, without those whose names begin like `left_out`.
fn rows(run: &Run, left_out: &[&str]) -> Result<String> {
    let mut text = String::new();
    for row in run.events("measure") {
        let name = row["name"].as_str().unwrap_or_default();
        if !left_out.iter().any(|prefix| name.starts_with(prefix)) {
            let unit = row["unit"].as_str().unwrap_or_default();
            writeln!(text, "{name}: {} {unit}", row["value"])?;
        }
    }
    ensure!(!text.is_empty(), "nothing was measured");
    Ok(text)
}
