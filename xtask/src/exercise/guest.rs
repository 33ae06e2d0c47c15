//! One guest that looks at several exercises, and what it has told.

use crate::guest::{Guest, Limits};
use crate::machine::Machine;
use crate::modules::Conventions;
use crate::outcome::Outcome;
use crate::qemu::Qemu;
use crate::{records, tool};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Most tests that a boot takes.
const MOST: usize = 16;

/// What a test says that does not rely on what one before has left behind.
const NOT_RUN: &str = "not run: ";

/// Where what guests printed is kept for the reader.
pub fn transcript_path() -> PathBuf {
    records::kept("exercise.txt")
}

/// What guests have told.
#[derive(Debug, Default)]
pub struct Seen {
    /// By test: what it said, or that the guest ended without saying it.
    results: Vec<(String, Result<(), String>)>,
    /// All records.
    pub records: Vec<Value>,
}

impl Seen {
    /// What a test has said.
    pub fn result(&self, test: &str) -> Result<(), String> {
        let mut results = self.results.iter();
        let found = results.find(|(name, _)| name == test);
        found.map_or_else(
            || Err(format!("the guest has not run `{test}`")),
            |(_, result)| result.clone(),
        )
    }

    /// A number that was measured.
    pub fn measured(&self, name: &str) -> Option<u64> {
        let mut records = self.events("measure");
        records.find(|record| record["name"] == name)?["value"].as_u64()
    }

    /// The records of a kind.
    pub fn events(&self, event: &str) -> impl Iterator<Item = &Value> {
        records::of(&self.records, event)
    }
}

/// Boots, and lets the guest run these tests; those that it did not come to, each in a
/// guest of its own.
pub fn see(kernel: &Path, tests: &[&str]) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut printed = String::new();
    for tests in tests.chunks(MOST) {
        let mut left = boot(kernel, tests, &mut seen, &mut printed)?;
        if tests.len() > 1 {
            for test in std::mem::take(&mut left) {
                boot(kernel, &[test], &mut seen, &mut printed)?;
            }
        }
    }
    tool::replace_file(&transcript_path(), printed.as_bytes())?;
    Ok(seen)
}

fn message(record: &Value) -> &str {
    record["message"].as_str().unwrap_or_default()
}

/// One boot. Returns the tests that it told nothing of; a test that was alone is told to
/// have failed.
fn boot<'t>(
    kernel: &Path,
    tests: &[&'t str],
    seen: &mut Seen,
    printed: &mut String,
) -> Result<Vec<&'t str>> {
    let append = tests
        .iter()
        .fold(String::from("mode=selftest log=warn"), |append, test| {
            append + " test=" + test
        });
    let (outcome, records, transcript) = run("default", kernel, &append, &Conventions::usual())?;
    *printed += &transcript;
    let mut left = Vec::new();
    for &test in tests {
        let record = records::of(&records, "test").find(|record| record["name"] == test);
        let result = match record {
            Some(record) if record["outcome"] == "pass" => Ok(()),
            Some(record) if tests.len() > 1 && message(record).starts_with(NOT_RUN) => {
                left.push(test);
                continue;
            }
            Some(record) => Err(message(record).to_owned()),
            None if tests.len() > 1 => {
                left.push(test);
                continue;
            }
            None => Err(format!(
                "expected: a kernel that survives the check; found: {outcome}\n\
                 What it printed is in {}",
                transcript_path().display()
            )),
        };
        seen.results.push((test.to_owned(), result));
    }
    seen.records.extend(records);
    Ok(left)
}

/// Boots, and returns how it ended, the records and what was printed.
pub fn run(
    machine: &str,
    kernel: &Path,
    append: &str,
    conventions: &Conventions,
) -> Result<(Outcome, Vec<Value>, String)> {
    let report = records::path(&format!("exercise-{}", std::process::id()));
    let mut qemu = Qemu::new(Machine::find(machine)?, kernel, append).with_modules(conventions);
    qemu.report = Some(report.clone());
    let finished = Guest::start(&qemu, false, Some(Limits::default()))?.finish();
    let records = records::read(&report)?;
    std::fs::remove_file(&report)
        .with_context(|| format!("{} could not be removed", report.display()))?;
    Ok((finished.outcome, records, finished.transcript))
}
