//! Has the parts of the page made, each by its own command in a process of its own:
//! the same that a user would type, with all of its checks.

use super::{Part, Report};
use super::{cells::Matrix, costs::Costs, steps::Trace, transitions::Demonstration};
use crate::machine::SHOWN;
use crate::pipes::die_with_this_thread;
use crate::{bench, matrix, records, step, tool};
use anyhow::{Context, Result};
use klp::Convention;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Time counts instructions there, so that the times on the page are nearly the same
/// in every run.
const MACHINE: &str = "icount";

/// Makes all parts, one after the other.
///
/// # Errors
/// When it is not known how this program was started. What goes wrong with a part is
/// said in it.
pub fn make(variant: &str, convention: Convention) -> Result<Report> {
    let me = std::env::current_exe().context("this program's own file can't be found")?;
    let maker = Maker { me };
    let report = records::path("demonstration");
    Ok(Report {
        variant: variant.to_owned(),
        demonstration: maker.part(
            &demonstration(variant, convention, &report),
            &report,
            Demonstration::read,
        ),
        matrix: maker.part(&words(&["matrix"]), &matrix::path(), json(Matrix::read)),
        costs: maker.part(&words(&["bench"]), &bench::path(), json(Costs::read)),
        steps: maker.part(
            &words(&["step", "--variant", variant]),
            &step::path(),
            json(Trace::read),
        ),
    })
}

/// The command that runs the demonstration.
fn demonstration(variant: &str, convention: Convention, report: &Path) -> Vec<String> {
    let mut words = words(&["run", "--machine", MACHINE, "--cpus", SHOWN]);
    if convention == Convention::Pcrel {
        // The machine's own has no prefixed instructions.
        words.extend(["--cpu".into(), "power10".into()]);
    }
    words.push(format!("--append=variant={variant}"));
    words.push(format!("--report={}", report.display()));
    words
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn json<T>(read: fn(&Value) -> Result<T>) -> impl Fn(&str) -> Result<T> {
    move |text| read(&serde_json::from_str(text)?)
}

struct Maker {
    me: PathBuf,
}

impl Maker {
    /// Runs a command of this program, and reads the file that it leaves.
    fn part<T>(&self, words: &[String], file: &Path, read: impl Fn(&str) -> Result<T>) -> Part<T> {
        let name = &words[0];
        // What another run has left is not this run's.
        let _ = std::fs::remove_file(file);
        let mut command = Command::new(&self.me);
        command.args(words).current_dir(tool::workspace());
        die_with_this_thread(&mut command);
        let status = match tool::status(&mut command) {
            Ok(status) => status,
            Err(error) => return Err(error).into(),
        };
        let failed = (!status.success()).then(|| format!("`{name}` has failed: {status}."));
        let text = match tool::read_file(file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => {
                let none = format!("`{name}` has left no file.");
                return Part {
                    found: None,
                    problem: Some(failed.unwrap_or(none)),
                };
            }
        };
        // The page may go far from here, so it does not tell where the checkout is.
        let shown = file.strip_prefix(tool::workspace()).unwrap_or(file);
        let mut part: Part<T> = read(&text)
            .with_context(|| shown.display().to_string())
            .into();
        part.problem = match (failed, part.problem) {
            (Some(failed), Some(problem)) => Some(format!("{failed} Besides, {problem}")),
            (failed, problem) => failed.or(problem),
        };
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that leaves `content` in `file`, and ends with `status`.
    fn made(label: &str, script: &str) -> Part<String> {
        let folder = std::env::temp_dir().join(format!("klplab-{}-{label}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("left");
        std::fs::write(&file, "old").unwrap();
        let maker = Maker {
            me: PathBuf::from("/bin/sh"),
        };
        let script = script.replace("FILE", &file.display().to_string());
        let words = ["-c".to_owned(), script];
        let part = maker.part(&words, &file, |text| {
            anyhow::ensure!(text != "bad", "this is bad");
            Ok(text.to_owned())
        });
        std::fs::remove_dir_all(&folder).unwrap();
        part
    }

    #[test]
    fn what_a_command_leaves_is_shown() {
        let part = made("well", "printf new >FILE");
        assert_eq!((part.found.as_deref(), part.problem), (Some("new"), None));
    }

    #[test]
    fn what_another_run_has_left_is_not() {
        let part = made("old", "exit 0");
        assert!(part.found.is_none() && part.problem.is_some(), "{part:?}");
    }

    #[test]
    fn a_command_that_fails_is_told_and_its_file_shown() {
        let part = made("failed", "printf new >FILE; exit 3");
        assert_eq!(part.found.as_deref(), Some("new"));
        assert!(part.problem.unwrap().contains("exit status: 3"));
        let part = made("bad", "printf bad >FILE");
        assert!(part.problem.unwrap().contains("this is bad"));
    }

    #[test]
    fn a_variant_gets_a_processor_that_can_do_it() {
        let on = |variant, needs| demonstration(variant, needs, Path::new("/r")).join(" ");
        assert!(on("pcrel", Convention::Pcrel).contains("--cpu power10"));
        assert!(!on("epilogue", Convention::Epilogue).contains("--cpu "));
    }
}
