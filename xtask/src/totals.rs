//! `test`: runs every test there is, adds up what they print, and says in the end once more what has failed.

use crate::{kernel, tool};
use anyhow::{Context, Result};
use std::fmt;
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

/// Lines shown of what is said of a failed test: from the beginning, where a trial names its self-tests,
/// and from the end, where its guest's last words are.
const SHOWN: [usize; 2] = [12, 30];

/// What the tests have said so far.
#[derive(Debug, Default, Eq, PartialEq)]
struct Said {
    totals: Totals,
    failed: Vec<Failed>,
    /// Whether the next line is about the last of those.
    is_of_failed: bool,
}

/// A test that has failed.
#[derive(Debug, Default, Eq, PartialEq)]
struct Failed {
    name: String,
    /// What its program says of it.
    lines: Vec<String>,
}

/// Runs all tests, or those that have `filter` in their name, and prints what has failed and, as
/// the last line, the totals. Returns whether all is well.
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
    let Said {
        mut totals, failed, ..
    } = echo_and_add(output, &mut std::io::stdout())?;
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
    for failed in failed {
        println!("{failed}");
    }
    println!("{} passed, {} failed", totals.passed, totals.failed);
    Ok(status.success() && totals.failed == 0 && totals.passed > 0)
}

/// Copies a stream, at once and as it is, and adds up the results in it.
fn echo_and_add(mut from: impl Read, to: &mut impl Write) -> Result<Said> {
    let mut said = Said::default();
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
                said.add(&String::from_utf8_lossy(&line));
                line.clear();
            } else {
                line.push(byte);
            }
        }
        if count == 0 {
            said.add(&String::from_utf8_lossy(&line));
            return Ok(said);
        }
    }
}

impl Said {
    /// Adds a line. Behind the tests of a program, it has `---- NAME ----`, or `---- NAME stdout ----`, for
    /// each that has failed, what it says of it, and in the end a list of their names.
    fn add(&mut self, line: &str) {
        let line = line.trim_end();
        let name = line.strip_prefix("---- ");
        let name = name.and_then(|rest| rest.strip_suffix(" ----"));
        if let Some(name) = name {
            let name = name.strip_suffix(" stdout").unwrap_or(name).to_owned();
            let lines = Vec::new();
            self.failed.push(Failed { name, lines });
            self.is_of_failed = true;
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.is_of_failed = false;
        } else if let (true, Some(failed)) = (self.is_of_failed, self.failed.last_mut()) {
            failed.lines.push(line.to_owned());
        }
        self.totals.add(line);
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, last] = SHOWN;
        write!(f, "FAILED {}", self.name)?;
        let lines: Vec<&String> = self.lines.iter().filter(|line| !line.is_empty()).collect();
        let left_out = lines.len().saturating_sub(first + last);
        for (place, line) in lines.iter().enumerate() {
            if left_out > 0 && place == first {
                write!(f, "\n  ... {left_out} lines ...")?;
            }
            if place < first || place >= first + left_out {
                write!(f, "\n  {line}")?;
            }
        }
        Ok(())
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
        let said = echo_and_add(output.as_bytes(), &mut copy).unwrap();
        assert_eq!(
            said.totals,
            Totals {
                passed: 13,
                failed: 3
            }
        );
        assert_eq!(copy, output.as_bytes());
    }

    #[test]
    fn what_has_failed_is_kept() {
        let console: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let output = format!(
            "test a ... FAILED\nfailures:\n\n---- a ----\nself-tests failed:\n  x: y\n{console}\n\
            failures:\n    a\n\ntest result: FAILED. 0 passed; 1 failed\n\
            running 1 test\n\n---- b::c stdout ----\nat f.rs:1\n\nfailures:\n    b::c\n"
        );
        let said = echo_and_add(output.as_bytes(), &mut Vec::new()).unwrap();
        let shown: Vec<String> = said.failed.iter().map(Failed::to_string).collect();
        let [a, b] = &shown[..] else {
            panic!("{shown:?}");
        };
        assert!(
            a.starts_with("FAILED a\n  self-tests failed:\n    x: y\n  line 0\n"),
            "{a}"
        );
        assert!(
            a.contains("\n  line 9\n  ... 60 lines ...\n  line 70\n"),
            "{a}"
        );
        assert!(a.ends_with("\n  line 99"), "{a}");
        assert_eq!(b, "FAILED b::c\n  at f.rs:1");
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
