//! `report`: one page about one run: the transitions of the demonstration, the
//! conformance matrix, what calls cost, and a call step by step.
//!
//! - [`parts`] has each of them made by its own command, and reads what that has left;
//! - [`transitions`], [`cells`], [`costs`] and [`steps`] are what the files say;
//! - [`scale`] is the time axis;
//! - [`page`] writes all of it down. The page is one file that asks for no other.
//!
//! A part that could not be made is named on the page, and fails the command.

pub mod cells;
pub mod costs;
pub mod page;
pub mod parts;
pub mod scale;
pub mod steps;
pub mod transitions;

use crate::image::Image;
use crate::modules::Conventions;
use crate::{kernel, records, tool, variants};
use anyhow::{Context, Result, ensure};
use cells::Matrix;
use costs::Costs;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::PathBuf;
use steps::Trace;
use transitions::Demonstration;

/// The default variant of the hand-over.
const USUAL: &str = "epilogue";

/// Options of `report`.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// The variant of the demonstration and of the stepped call
    #[arg(long, value_name = "NAME", default_value = USUAL)]
    pub variant: String,
}

/// A part of the page: what was found, and what was wrong, if anything was. Both, if
/// the command has failed but left its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<T> {
    /// What there is to show.
    pub found: Option<T>,
    /// Why that is not all, or not as it must be: a sentence.
    pub problem: Option<String>,
}

impl<T> From<Result<T>> for Part<T> {
    fn from(result: Result<T>) -> Part<T> {
        match result {
            Ok(found) => Part {
                found: Some(found),
                problem: None,
            },
            Err(error) => Part {
                found: None,
                problem: Some(format!("{error:#}.")),
            },
        }
    }
}

/// All that the page shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The variant of the demonstration and of the stepped call.
    pub variant: String,
    /// The demonstration.
    pub demonstration: Part<Demonstration>,
    /// The conformance matrix.
    pub matrix: Part<Matrix>,
    /// What calls cost.
    pub costs: Part<Costs>,
    /// A call, step by step.
    pub steps: Part<Trace>,
}

impl Report {
    /// What is missing or wrong, a sentence each.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        let all = [
            &self.demonstration.problem,
            &self.matrix.problem,
            &self.costs.problem,
            &self.steps.problem,
        ];
        all.into_iter().filter_map(|problem| problem.as_deref())
    }
}

/// The page's file.
#[must_use]
pub fn path() -> PathBuf {
    records::kept("report.html")
}

/// Has all parts made, and writes the page. Says whether nothing is missing on it.
///
/// # Errors
/// When there is no such variant, or the page can't be written.
pub fn report(args: &ReportArgs) -> Result<bool> {
    let kernel = kernel::build(Image::Lab, &Conventions::all())?;
    let convention = variants::convention_of(&args.variant, &variants::of(&kernel)?)?;
    let report = parts::make(&args.variant, convention)?;
    let path = path();
    tool::replace_file(&path, page::html(&report).as_bytes())?;
    for problem in report.problems() {
        eprintln!("klplab: on the page: {problem}");
    }
    println!("{}", path.display());
    Ok(report.problems().next().is_none())
}

/// What a file of schema 1 has under `key`.
///
/// # Errors
/// When it has another schema, or another form.
fn schema<T: DeserializeOwned>(file: &Value, key: &str) -> Result<T> {
    let schema = &file["schema"];
    ensure!(*schema == 1, "its schema is {schema}, not 1");
    T::deserialize(&file[key]).with_context(|| format!("its `{key}` can't be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_is_told() {
        let report = Report {
            variant: USUAL.into(),
            demonstration: Err(anyhow::anyhow!("one")).into(),
            matrix: Err(anyhow::anyhow!("two").context("a")).into(),
            costs: Costs::read(&serde_json::json!({})).into(),
            steps: Part {
                found: None,
                problem: None,
            },
        };
        let told: Vec<&str> = report.problems().collect();
        assert_eq!(told, ["one.", "a: two.", "its schema is null, not 1."]);
    }
}
