//! The step explorer: it finds nothing where nothing is wrong, and what is wrong on
//! purpose.

use crate::harness::{Boot, Run, kernel, trial};
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;
use xtask::explore::{CONTROLS, CONTROLS_OF_OTHER_CPU, IN_TURN, MACHINE, variants};
use xtask::image::Image;
use xtask::outcome::Outcome;

/// The situations that a variant is explored in.
const SITUATIONS: usize = 8;

/// What a control is found by: what happens, and where the first finding is.
const FOUND: [(&str, &[&str]); 4] = [
    (
        "racy",
        &[
            // From the hand-off's second instruction, which writes A's r2 where the
            // others write theirs, to the one that reads it.
            "FOUND racy, settled, another thread's call at ",
            "FOUND racy, settled, interrupt's call at ",
        ],
    ),
    (
        "both-words",
        // Between the two words.
        &["FOUND both-words, two nops, both words written at "],
    ),
    (
        "one-look",
        // Between the load of the number and that of the code.
        &[
            "FOUND one-look, one look, enable at ",
            "FOUND one-look, one look, disable at ",
        ],
    ),
    (
        "freed-at-once",
        &["FOUND freed-at-once, a copy of the stub, code freed at once at "],
    ),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("explore::sample", || sample(false)),
        trial("explore::sample_of_another_cpu", || sample(true)),
    ];
    for (controls, other_cpu) in [(CONTROLS, false), (CONTROLS_OF_OTHER_CPU, true)] {
        for control in controls {
            let name = format!("explore::control::{control}");
            trials.push(trial(&name.clone(), move || {
                found(&name, control, other_cpu)
            }));
        }
    }
    trials
}

/// On the machine where the partner acts, or another CPU.
fn boot(name: &str, append: &str, other_cpu: bool) -> Result<Run> {
    if other_cpu {
        Boot::new(name, IN_TURN, append)?.cpus("2").run()
    } else {
        Boot::new(name, MACHINE, append)?.run()
    }
}

/// All variants in all situations, and no findings.
fn sample(other_cpu: bool) -> Result<()> {
    let label = if other_cpu {
        "explore::other"
    } else {
        "explore::sample"
    };
    let run = boot(label, "mode=explore short=yes", other_cpu)?;
    run.expect(&Outcome::Guest(0))?;
    let records = run.events("explored");
    if other_cpu {
        let pairs = |record: &&&Value| record["situation"] == PAIRS;
        let record = records.iter().find(pairs);
        let record = record.with_context(|| format!("no record of {PAIRS}"))?;
        // Some instructions, and some changes at each.
        let is_explored = number(record, "runs")? > 20;
        ensure!(is_explored && record["findings"] == 0, "{record}");
    }
    for beginning in BEGINNINGS.iter().filter(|_| !other_cpu) {
        let mut own = records.iter().filter(|one| one["situation"] == *beginning);
        let record = own
            .next()
            .with_context(|| format!("no record of {beginning}"))?;
        let (stops, masked) = (number(record, "stops")?, number(record, "masked")?);
        let is_explored = stops > masked && masked > 0 && number(record, "runs")? > 2;
        ensure!(is_explored && record["findings"] == 0, "{record}");
    }
    let variants = variants(kernel(Image::Lab)?)?;
    ensure!(
        variants.contains(&"epilogue".into()) && !variants.contains(&"epilogue-as-posted".into()),
        "{variants:?}"
    );
    for variant in variants {
        let own = records
            .iter()
            .filter(|record| record["variant"] == variant && record["situation"] != PAIRS);
        let situations: BTreeSet<&str> = own
            .clone()
            .filter_map(|record| record["situation"].as_str())
            .collect();
        ensure!(
            situations.len() == SITUATIONS,
            "{variant} was explored in {situations:?}"
        );
        for record in own {
            let (stops, masked) = (number(record, "stops")?, number(record, "masked")?);
            // Two of the runs count the stops.
            let is_explored = stops > masked && number(record, "runs")? > 2;
            ensure!(is_explored && record["findings"] == 0, "{record}");
            // Some of what another CPU does can end while the call stands still, some can't.
            let (waited, runs) = (number(record, "waited")?, number(record, "runs")?);
            ensure!((waited > 0 && waited < runs) == other_cpu, "{record}");
        }
    }
    // The price that is no finding is told, once.
    let lines = run.finished.transcript.lines();
    let prices: Vec<_> = lines
        .filter(|line| line.starts_with("epilogue: as declared, "))
        .collect();
    ensure!(
        prices.len() == 1 && prices[0].contains(" calls fail `reserved-word`: "),
        "{prices:?}"
    );
    Ok(())
}

/// The record of pairs, of which a sample has one.
const PAIRS: &str = "settled and traced, in pairs";

/// The records of transitions that begin, which are no variant's.
const BEGINNINGS: [&str; 2] = ["beginning to enable", "beginning to disable"];

/// A control has findings, where they must be and nowhere else.
fn found(name: &str, control: &str, other_cpu: bool) -> Result<()> {
    let append = format!("mode=explore variant={control}");
    let run = boot(name, &append, other_cpu)?;
    run.expect(&Outcome::Guest(1))?;
    let transcript = &run.finished.transcript;
    let expected = FOUND.iter().find(|(name, _)| *name == control);
    let (_, expected) = expected.context("where it is found is not declared")?;
    for found in *expected {
        ensure!(transcript.contains(found), "no `{found}`:\n{transcript}");
    }
    for line in transcript.lines().filter(|line| line.starts_with("FOUND ")) {
        let is_expected = expected.iter().any(|found| line.starts_with(found));
        ensure!(is_expected, "{line}");
    }
    let record = run.event("explored")?;
    let (stops, findings) = (number(record, "stops")?, number(record, "findings")?);
    match control {
        // At one place only.
        "both-words" => ensure!(
            findings == 1 && transcript.contains("functions::value+0x4/"),
            "{transcript}"
        ),
        // The instructions between two loads.
        "one-look" => ensure!(
            (1..10).contains(&findings) && transcript.contains("patched::divert+0x"),
            "{transcript}"
        ),
        // The stub has as many.
        "freed-at-once" => ensure!(
            (3..20).contains(&findings) && transcript.contains("(stub or trampoline)+0x0 "),
            "{transcript}"
        ),
        // Not where it is not in the shared words yet, nor any more.
        _ => ensure!(findings > 20 && findings < 2 * stops, "{record}"),
    }
    Ok(())
}

fn number(record: &Value, field: &str) -> Result<u64> {
    record[field]
        .as_u64()
        .with_context(|| format!("no {field} in {record}"))
}
