//! The graph tracer attached and detached, again and again, under threads that call a
//! replacement, by every variant that gives its callers their r2 back.

use crate::harness::{Boot, kernel, trial};
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use xtask::explore::{MACHINE, variants};
use xtask::image::Image;
use xtask::outcome::Outcome;

const TEST: &str = "livepatch::toggling::graph_tracer_under_callers";

/// How often: the fault that this is for was there within ten rounds. docs/testing.md says how to do
/// it more often.
const COUNT: u32 = 60;

pub fn trials() -> Vec<Trial> {
    vec![trial("toggling::all_variants", all_variants)]
}

fn all_variants() -> Result<()> {
    for variant in variants(kernel(Image::Test)?)? {
        let append = format!("mode=selftest test={TEST} count={COUNT} variant={variant}");
        let label = format!("toggling::{variant}");
        let run = Boot::new(&label, MACHINE, &append)?.run()?;
        run.expect(&Outcome::Guest(0))?;
        let transcript = &run.finished.transcript;
        ensure!(
            transcript.contains(&format!("{COUNT} rounds, ")),
            "fewer rounds: {transcript}"
        );
    }
    Ok(())
}
