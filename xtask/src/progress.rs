//! How far long runs have come: a bar on a terminal, and nothing but the guests' own
//! lines elsewhere. The guests say it, in `progress` records of their reports.
//!
//! The bar is on standard error. What is printed while it stands there goes through
//! [`Progress::print`], or it would garble it.

use crate::guest::{Finished, Guest, Limits};
use crate::machine::Machine;
use crate::modules::Conventions;
use crate::qemu::Qemu;
use crate::run::{wants_colour, with_colour};
use crate::tool;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What a guest's run is of the bar, whatever the guest counts.
const SHARE: u64 = 1000;

/// A bar for some guests, one after the other or at once.
#[derive(Clone, Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar for so many guests.
    #[must_use]
    pub fn new(guests: usize) -> Progress {
        Self::on(ProgressDrawTarget::stderr(), guests)
    }

    fn on(target: ProgressDrawTarget, guests: usize) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(SHARE * guests as u64), target);
        let form = ProgressStyle::with_template("{percent:>3}% {bar:40} {elapsed} {wide_msg}");
        if let Ok(form) = form {
            bar.set_style(form);
        }
        Progress { bar }
    }

    /// Prints on standard output. The bar makes way.
    pub fn print(&self, text: &str) {
        self.bar.suspend(|| print!("{text}"));
    }

    /// Says something on standard error, a line. The bar makes way.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Boots a kernel with all modules as [`run`](crate::run::run) does: shows QEMU's
    /// command line, the console as it comes, and how it ended.
    ///
    /// # Errors
    /// When QEMU can't be started, or the report's file not be made.
    pub fn run(
        &self,
        machine: Machine,
        kernel: &Path,
        append: &str,
        report: &Path,
    ) -> Result<Finished> {
        let name = machine.name.clone();
        let append = with_colour(append, wants_colour());
        let mut qemu = Qemu::new(machine, kernel, &append).with_modules(&Conventions::all());
        qemu.report = Some(report.to_owned());
        self.say(&tool::shell_line(&qemu.command()));
        let finished = self.watch(&name, &qemu, |text| self.print(text))?;
        if !finished.transcript.is_empty() && !finished.transcript.ends_with('\n') {
            self.print("\n");
        }
        self.tell_end(&finished);
        Ok(finished)
    }

    /// Says how a guest has ended.
    pub fn tell_end(&self, finished: &Finished) {
        let seconds = finished.wall.as_secs_f64();
        self.say(&format!(
            "klplab: {}, after {seconds:.2} s",
            finished.outcome
        ));
    }

    /// Starts a guest, gives it to the bar, and passes its lines to `tell` until it
    /// ends. `name` stands beside the bar. The report is read from where `qemu` has it.
    ///
    /// # Errors
    /// When QEMU can't be started, or the report's file not be made.
    pub fn watch(&self, name: &str, qemu: &Qemu, mut tell: impl FnMut(&str)) -> Result<Finished> {
        let mut tail = qemu.report.clone().map(Tail::new).transpose()?;
        let mut share = 0;
        let guest = Guest::start(qemu, false, Some(Limits::default()))?;
        let finished = guest.finish_telling(|text| {
            if !text.is_empty() {
                tell(text);
            }
            if let Some(Come { what, done, of }) = tail.as_mut().and_then(Tail::latest) {
                self.bar.set_message(format!("{name}: {what}"));
                let now = SHARE * done.min(of) / of.max(1);
                self.bar.inc(now.saturating_sub(share));
                share = share.max(now);
            }
        });
        self.bar.inc(SHARE - share);
        Ok(finished)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How far a guest has come.
#[derive(Debug, Eq, PartialEq)]
struct Come {
    what: String,
    done: u64,
    of: u64,
}

/// The end of a report that is still being written.
#[derive(Debug)]
struct Tail {
    file: File,
    /// The begin of a line that is not complete yet.
    begun: Vec<u8>,
}

impl Tail {
    /// Of a file that is to be written, empty now.
    fn new(path: PathBuf) -> Result<Tail> {
        tool::replace_file(&path, b"")?;
        let file = File::open(&path);
        let file = file.with_context(|| format!("{} could not be read", path.display()))?;
        let begun = Vec::new();
        Ok(Tail { file, begun })
    }

    /// The last that was said since the last time. A file that can't be read says
    /// nothing.
    fn latest(&mut self) -> Option<Come> {
        let here = self.file.stream_position().ok()?;
        if self.file.read_to_end(&mut self.begun).is_err() {
            let _ = self.file.seek(SeekFrom::Start(here));
            return None;
        }
        let end = self.begun.iter().rposition(|&byte| byte == b'\n')?;
        let rest = self.begun.split_off(end + 1);
        let lines = std::mem::replace(&mut self.begun, rest);
        lines.split(|&byte| byte == b'\n').rev().find_map(come)
    }
}

/// What a record says, if it is about progress.
fn come(line: &[u8]) -> Option<Come> {
    let record: Value = serde_json::from_slice(line).ok()?;
    if record["event"] != "progress" {
        return None;
    }
    Some(Come {
        what: record["what"].as_str()?.to_owned(),
        done: record["done"].as_u64()?,
        of: record["of"].as_u64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_last_complete_record_counts() {
        let name = format!("progress-{}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut tail = Tail::new(path.clone()).unwrap();
        assert_eq!(tail.latest(), None);
        let mut file = File::options().append(true).open(&path).unwrap();
        let mut write = |text: &str| file.write_all(text.as_bytes()).unwrap();
        write("{\"event\":\"progress\",\"what\":\"a\",\"done\":1,\"of\":3}\n");
        write("{\"event\":\"cell\"}\nno JSON\n{\"event\":\"progress\",\"what\":\"b\",");
        let come = |what: &str, done| {
            let (what, of) = (what.to_owned(), 3);
            Some(Come { what, done, of })
        };
        assert_eq!(tail.latest(), come("a", 1));
        assert_eq!(tail.latest(), None);
        write("\"done\":2,\"of\":3}\n");
        assert_eq!(tail.latest(), come("b", 2));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_bar_that_is_not_seen_lets_everything_through() {
        let progress = Progress::on(ProgressDrawTarget::hidden(), 2);
        progress.print("");
        progress.bar.inc(SHARE);
        assert_eq!(progress.bar.position(), SHARE);
        assert_eq!(progress.bar.length(), Some(2 * SHARE));
    }
}
