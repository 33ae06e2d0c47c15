//! The step explorer: it finds nothing where nothing is wrong, and what is wrong on
//! purpose.

use crate::harness::{Boot, Run, kernel, trial};
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;
use xtask::explore::{CONTROLS, MACHINE, variants};
use xtask::image::Image;
use xtask::outcome::Outcome;

/// The situations that a variant is explored in.
const SITUATIONS: usize = 8;

/// What a control is found by: what happens, and where the first finding is.
const FOUND: [(&str, &[&str]); 2] = [
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
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![trial("explore::sample", sample)];
    for control in CONTROLS {
        let name = format!("explore::control::{control}");
        trials.push(trial(&name.clone(), move || found(&name, control)));
    }
    trials
}

/// All variants in all situations, and no findings.
fn sample() -> Result<()> {
    let run = Boot::new("explore::sample", MACHINE, "mode=explore short=yes")?.run()?;
    run.expect(&Outcome::Guest(0))?;
    let records = run.events("explored");
    for beginning in BEGINNINGS {
        let mut own = records.iter().filter(|one| one["situation"] == beginning);
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
        let own = records.iter().filter(|record| record["variant"] == variant);
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

/// The records of transitions that begin, which are no variant's.
const BEGINNINGS: [&str; 2] = ["beginning to enable", "beginning to disable"];

/// A control has findings, where they must be and nowhere else.
fn found(name: &str, control: &str) -> Result<()> {
    let append = format!("mode=explore variant={control}");
    let run: Run = Boot::new(name, MACHINE, &append)?.run()?;
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
