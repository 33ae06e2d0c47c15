//! `test`: runs every test there is and adds up what they print.

use crate::{kernel, tool};
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::process::Stdio;

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Number of tests that passed.
    pub passed: u64,
    /// Number of tests that failed.
    pub failed: u64,
}

/// Runs all tests, or those that have `filter` in their name, and prints the totals as
/// the last line. Returns whether all is well.
///
/// Nothing ran, or cargo failed without a failed test, is not well either.
///
/// # Errors
/// When cargo can't be started or its output not be read.
pub fn test(filter: Option<&str>) -> Result<bool> {
    let mut cargo = tool::cargo();
    // All test programs run, even behind one that failed: the totals are of all.
    cargo.args(["test", "--locked", "--no-fail-fast", "--workspace"]);
    cargo.args(
        kernel::PACKAGES
            .into_iter()
            .flat_map(|name| ["--exclude", name]),
    );
    if let Some(filter) = filter {
        cargo.args(["--", filter]);
    }
    eprintln!("klplab: building the tests; those in QEMU build the kernel when they begin");
    let mut child = tool::spawn(cargo.stdout(Stdio::piped()))?;
    let output = child
        .stdout
        .take()
        .context("cargo's output can't be read")?;
    let mut totals = echo_and_add(output, &mut std::io::stdout())?;
    let status = child.wait().context("cargo's end can't be seen")?;
    if !status.success() && totals.failed == 0 {
        eprintln!(
            "klplab: cargo test failed ({status}) without a failed test, which counts as one"
        );
        totals.failed = 1;
    } else if totals == Totals::default() {
        let which = filter.map_or(String::new(), |filter| format!(" that matches `{filter}`"));
        eprintln!("klplab: there is no test{which}");
    }
    println!("{} passed, {} failed", totals.passed, totals.failed);
    Ok(status.success() && totals.failed == 0 && totals.passed > 0)
}

/// Copies a stream, at once and as it is, and adds up the results in it.
fn echo_and_add(mut from: impl Read, to: &mut impl Write) -> Result<Totals> {
    let mut totals = Totals::default();
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = from
            .read(&mut buffer)
            .context("cargo's output can't be read")?;
        let chunk = &buffer[..count];
        // If our output has no reader any more, the tests still have a result.
        let _ = to.write_all(chunk).and_then(|()| to.flush());
        for &byte in chunk {
            if byte == b'\n' {
                totals.add(&String::from_utf8_lossy(&line));
                line.clear();
            } else {
                line.push(byte);
            }
        }
        if count == 0 {
            totals.add(&String::from_utf8_lossy(&line));
            return Ok(totals);
        }
    }
}

impl Totals {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; …`,
    /// and nothing for any other line.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .trim()
            .strip_prefix("test result: ")
            .and_then(|result| result.split_once(". "))
        else {
            return;
        };
        for count in counts.split(';') {
            match count.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up_and_everything_is_passed_on() {
        let output = "running 2 tests\ntest a ... ok\n\
            test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
            \r\ntest result: FAILED. 10 passed; 3 failed; 0 ignored; finished in 0.1s\n\
            EXIT: 7 passed; 7 failed\n\
            test result: ok. 1 passed; 0 failed";
        let mut copy = Vec::new();
        let totals = echo_and_add(output.as_bytes(), &mut copy).unwrap();
        assert_eq!(
            totals,
            Totals {
                passed: 13,
                failed: 3
            }
        );
        assert_eq!(copy, output.as_bytes());
    }

    #[test]
    fn other_lines_do_not_count() {
        let mut totals = Totals::default();
        for line in ["", "test result: ", "test result: ok", "3 passed, 1 failed"] {
            totals.add(line);
        }
        assert_eq!(totals, Totals::default());
    }
}
