//! `step`: shows a call of a patched function instruction by instruction, and keeps the
//! steps in a file.

use crate::image::Image;
use crate::modules::Conventions;
use crate::outcome::Outcome;
use crate::run::{RunArgs, run};
use crate::{kernel, records, variants};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// The machine that can do all variants.
pub const MACHINE: &str = "power10";

/// Options of `step`.
#[derive(Clone, Debug, clap::Args)]
pub struct StepArgs {
    /// The function to call: its path, or the last part of it
    #[arg(long, value_name = "NAME")]
    pub func: Option<String>,
    /// The variants, with commas between them, or all; if not given, the default one
    #[arg(long, value_name = "NAMES")]
    pub variant: Option<String>,
    /// How the call goes: settled, transition, traced or rest
    #[arg(long, value_name = "WAY")]
    pub way: Option<String>,
    /// The shape of machine, by its name in tests/machines.toml
    #[arg(long, value_name = "NAME", default_value = MACHINE)]
    pub machine: String,
}

impl StepArgs {
    /// The boot arguments, a line for each variant; `all` are those there are.
    ///
    /// # Errors
    /// What `all` returns, which is only asked if it matters.
    pub fn appends(&self, all: impl FnOnce() -> Result<Vec<String>>) -> Result<Vec<String>> {
        let mut append = String::from("mode=step");
        for (key, value) in [("function", &self.func), ("way", &self.way)] {
            if let Some(value) = value {
                // A string takes everything.
                let _ = write!(append, " {key}={value}");
            }
        }
        let with = |name: &str| format!("{append} variant={name}");
        Ok(match self.variant.as_deref() {
            None => vec![append],
            Some("all") => all()?.iter().map(|name| with(name)).collect(),
            Some(names) => names.split(',').map(with).collect(),
        })
    }
}

/// The file with all steps of the last run.
#[must_use]
pub fn path() -> PathBuf {
    records::kept("step.json")
}

/// Builds the kernel with the modules that it takes, boots it for each variant, and
/// writes the steps to [`path`]. The outcome is the first one that is no success, if
/// there is one.
///
/// # Errors
/// When something can't be built, started or written.
pub fn step(args: &StepArgs) -> Result<Outcome> {
    let report = records::path("step");
    let mut records: Vec<Value> = Vec::new();
    let mut outcome = None;
    let all = || {
        let all = variants::of(&kernel::build(Image::Lab, &Conventions::all())?)?;
        Ok(all.into_iter().map(|(name, _)| name).collect())
    };
    for append in args.appends(all)? {
        let run_args = RunArgs {
            machine: args.machine.clone(),
            append,
            report: Some(report.clone()),
            ..RunArgs::default()
        };
        // Before the build, which takes longer than a look at the table.
        run_args.shape()?;
        let this = run(
            &kernel::build(run_args.image(), &run_args.conventions())?,
            &run_args,
        )?;
        records.extend(records::read(&report)?);
        if outcome.as_ref().is_none_or(Outcome::passed) {
            outcome = Some(this);
        }
    }
    records::leave(&path(), "steps", &steps(&records))?;
    outcome.context("no variant was named")
}

/// The steps among reports' records, in the form of the file: `calls` has a row for each
/// call, and `steps` one for each of its lines, in order. Both name variant, function
/// and way; see `report::Record` for what else is in them.
#[must_use]
pub fn steps(records: &[Value]) -> Value {
    let of = |event: &str| -> Vec<Value> {
        let without_event = |record: &Value| {
            let mut record = record.clone();
            if let Some(fields) = record.as_object_mut() {
                fields.remove("event");
            }
            record
        };
        records::of(records, event).map(without_event).collect()
    };
    json!({"schema": 1, "calls": of("stepped"), "steps": of("step")})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appends(variant: Option<&str>) -> Vec<String> {
        let args = StepArgs {
            func: Some("leaf".into()),
            variant: variant.map(String::from),
            way: None,
            machine: MACHINE.into(),
        };
        args.appends(|| Ok(vec!["one".into(), "two".into()]))
            .unwrap()
    }

    #[test]
    fn each_variant_has_a_boot_of_its_own() {
        assert_eq!(appends(None), ["mode=step function=leaf"]);
        let two = appends(Some("epilogue,pcrel"));
        assert_eq!(two[1], "mode=step function=leaf variant=pcrel");
        assert_eq!(two.len(), 2);
        let all = appends(Some("all"));
        assert!(
            all.len() == 2 && all[0].ends_with(" variant=one"),
            "{all:?}"
        );
    }

    #[test]
    fn steps_and_calls_are_taken_from_the_report() {
        let records = [
            json!({"event": "boot", "cpu": "x"}),
            json!({"event": "step", "variant": "v", "number": 1}),
            json!({"event": "stepped", "variant": "v", "result": "0x11"}),
        ];
        let expected = json!({
            "schema": 1,
            "calls": [{"variant": "v", "result": "0x11"}],
            "steps": [{"variant": "v", "number": 1}],
        });
        assert_eq!(steps(&records), expected);
    }
}
