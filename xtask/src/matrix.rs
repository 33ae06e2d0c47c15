//! `matrix`: judges each variant by each conformance case, in the guest, and keeps
//! the cells in a file.

use crate::image::Image;
use crate::machine::Machine;
use crate::modules::Conventions;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::{kernel, records};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// The machine that has what the cases need.
pub const MACHINE: &str = "laboratory";

/// Options of `matrix`.
#[derive(Clone, Debug, clap::Args)]
pub struct MatrixArgs {
    /// Only this variant
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// Only this case, or those that a pattern with `*` stands for
    #[arg(long, value_name = "PATTERN")]
    pub case: Option<String>,
    /// The shape of machine, by its name in tests/machines.toml
    #[arg(long, value_name = "NAME", default_value = MACHINE)]
    pub machine: String,
}

/// The file with all cells of the last run.
#[must_use]
pub fn path() -> PathBuf {
    records::kept("matrix.json")
}

/// Builds the kernel with all modules, boots it, and writes the cells to [`path`].
///
/// # Errors
/// When something can't be built, started or written.
pub fn matrix(args: &MatrixArgs) -> Result<Outcome> {
    let report = records::path("matrix");
    let mut append = String::from("mode=matrix");
    for (key, value) in [("variant", &args.variant), ("case", &args.case)] {
        if let Some(value) = value {
            write!(append, " {key}={value}")?;
        }
    }
    ensure!(
        !append.contains('\0'),
        "the options contain a zero character"
    );
    // Before the build, which takes longer than a look at the table.
    let machine = Machine::find(&args.machine)?;
    let kernel = kernel::build(Image::Lab, &Conventions::all())?;
    let progress = Progress::new(1);
    let finished = progress.run(machine, &kernel, &append, &report)?;
    drop(progress);
    records::leave(&path(), "cells", &cells(&records::read(&report)?))?;
    Ok(finished.outcome)
}

/// The cells among a report's records, in the form of the file:
/// `{"schema":1,"cells":[{"variant","case","expected","observed","reason"}]}`.
#[must_use]
pub fn cells(records: &[Value]) -> Value {
    let cells = records::of(records, "cell");
    let cell = |record: &Value| {
        json!({
            "variant": record["variant"],
            "case": record["case"],
            "expected": record["expected"],
            "observed": record["observed"],
            "reason": record["reason"],
        })
    };
    json!({"schema": 1, "cells": cells.map(cell).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_taken_from_the_report() {
        let records = [
            json!({"event": "boot", "cpu": "x"}),
            json!({"event": "cell", "variant": "v", "case": "c", "expected": "pass",
                "observed": "fail", "reason": "r"}),
        ];
        let expected = json!({"schema": 1, "cells": [
            {"variant": "v", "case": "c", "expected": "pass", "observed": "fail", "reason": "r"}
        ]});
        assert_eq!(cells(&records), expected);
    }
}
