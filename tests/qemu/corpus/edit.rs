//! Edits of the kernel's source: patch files, each with what must come of it.
//!
//! A file begins with lines `Key: value`, and behind them comes the change:
//!
//! | key | the value is |
//! |---|---|
//! | `About` | what the edit is, in a sentence |
//! | `Changed`, `New`, `Gone` | the path of a function that is reported so; `static` before that of a static; ` in CRATE` behind it if another crate has it |
//! | `Refused` | a part of a sentence that stands against a patch |
//! | `Note` | a part of what is told besides |
//! | `Run` | a line for the kernel's shell |
//! | `Answer` | what is printed then, and was not before the patch |
//! | `Alone` | why it is not judged together with others |
//! | `Rows` | how many functions and statics are reported, where a list would be too long |
//! | `Most` | how many functions a patch may replace, where it is not the usual number |
//!
//! What is not said must not be found: no function, no sentence.

use anyhow::{Context, Result, bail, ensure};
use kdiff::Change;
use std::path::{Path, PathBuf};
use xtask::live::patch::{Made, Row};
use xtask::tool;

/// Where they are.
const FOLDER: &str = "tests/live";

/// How the line begins that says how many rows there are.
const COUNT: &str = "Rows: ";

/// An edit.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// The file's name, without its end.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What must be found.
    pub expected: Found,
    /// Lines for the kernel's shell.
    pub run: Vec<String>,
    /// What they print when the edit is in, and not before.
    pub answers: Vec<String>,
    /// Whether it is judged by itself alone.
    pub alone: bool,
    /// The most functions that a patch may replace, if not the usual number.
    pub most: Option<usize>,
}

/// What comes of an edit, or of several; or what must.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// A header line for each function and static that differs; or one that says how many.
    pub rows: Vec<String>,
    /// What stands against a patch.
    pub refused: Vec<String>,
    /// What is told besides.
    pub notes: Vec<String>,
}

/// All edits, by name.
pub fn all() -> Result<Vec<Edit>> {
    let mut paths = tool::files_below(&tool::workspace().join(FOLDER))?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "patch"));
    paths.sort();
    paths.iter().map(|path| Edit::read(path)).collect()
}

impl Edit {
    fn read(path: &Path) -> Result<Edit> {
        let text = String::from_utf8(tool::read_file(path)?)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let edit = parse(&text).with_context(|| path.display().to_string())?;
        Ok(Edit {
            name: name.into_owned(),
            path: path.to_owned(),
            ..edit
        })
    }

    /// Writes what was found into the file, for its author to look at.
    pub fn accept(&self, found: &Found) -> Result<()> {
        let text = String::from_utf8(tool::read_file(&self.path)?)?;
        let (header, diff) = split(&text);
        let is_row = |line: &&str| {
            ["Changed: ", "New: ", "Gone: ", COUNT]
                .iter()
                .any(|key| line.starts_with(key))
        };
        let rows = found.counted_as(&self.expected);
        let mut lines: Vec<&str> = header.lines().filter(|line| !is_row(line)).collect();
        let place = lines
            .iter()
            .take_while(|line| line.starts_with("About: ") || line.starts_with("Alone: "));
        let place = place.count();
        lines.splice(place..place, rows.iter().map(String::as_str));
        tool::replace_file(
            &self.path,
            format!("{}\n{diff}", lines.join("\n")).as_bytes(),
        )
    }
}

/// Header and change.
fn split(text: &str) -> (&str, &str) {
    let start = if text.starts_with("diff ") {
        0
    } else {
        text.find("\ndiff ").map_or(text.len(), |at| at + 1)
    };
    text.split_at(start)
}

/// Reads an edit's text.
pub fn parse(text: &str) -> Result<Edit> {
    let (header, diff) = split(text);
    let mut edit = Edit::default();
    let mut about = 0;
    for line in header.lines() {
        let (key, value) = line
            .split_once(": ")
            .with_context(|| format!("expected `Key: value`, found `{line}`"))?;
        ensure!(!value.trim().is_empty(), "`{key}` has no value");
        let value = value.to_owned();
        match key {
            "About" => about += 1,
            "Alone" => edit.alone = true,
            "Changed" | "New" | "Gone" | "Rows" => edit.expected.rows.push(line.to_owned()),
            "Most" => edit.most = Some(value.parse().context("`Most` is no number")?),
            "Refused" => edit.expected.refused.push(value),
            "Note" => edit.expected.notes.push(value),
            "Run" => edit.run.push(value),
            "Answer" => edit.answers.push(value),
            _ => bail!("there is no key `{key}`"),
        }
    }
    ensure!(about == 1, "expected one `About`, found {about}");
    ensure!(diff.contains("\n@@ "), "there is no change in it");
    ensure!(
        edit.alone || edit.most.is_none() && !edit.expected.is_count(),
        "`Most` and `Rows` are for an edit that is judged alone"
    );
    ensure!(
        !edit.expected.is_count() || edit.expected.rows.len() == 1,
        "`Rows` beside rows"
    );
    ensure!(
        edit.answers.is_empty() || !edit.run.is_empty(),
        "an answer, and nothing that is run"
    );
    ensure!(
        edit.answers.is_empty() || edit.expected.refused.is_empty(),
        "an answer of an edit that can't be patched in"
    );
    Ok(edit)
}

impl Found {
    /// What must come of several edits in one. Two of them may change the same function.
    pub fn of_all(edits: &[&Edit]) -> Found {
        let mut all = Found::default();
        for Edit { expected, .. } in edits {
            let others = all.rows.clone();
            let own = expected.rows.iter().filter(|row| !others.contains(row));
            all.rows.extend(own.cloned());
            all.refused.extend_from_slice(&expected.refused);
            all.notes.extend_from_slice(&expected.notes);
        }
        all
    }

    /// What was found.
    pub fn in_made(made: &Made) -> Found {
        Found {
            rows: made.rows.iter().map(line).collect(),
            refused: made.refused.clone(),
            notes: made.notes.clone(),
        }
    }

    /// Whether rows are counted, and not listed.
    fn is_count(&self) -> bool {
        self.rows.iter().any(|row| row.starts_with(COUNT))
    }

    /// The rows that were found, counted if those that are expected are.
    fn counted_as(&self, expected: &Found) -> Vec<String> {
        match expected.is_count() {
            true => vec![format!("{COUNT}{}", self.rows.len())],
            false => self.rows.clone(),
        }
    }

    /// Fails unless this is what was expected, no more and no less.
    pub fn expect(&self, expected: &Found) -> Result<()> {
        let mut wrong = Vec::new();
        let mut left = expected.rows.clone();
        for row in &self.counted_as(expected) {
            match left.iter().position(|one| one == row) {
                Some(place) => drop(left.swap_remove(place)),
                None => wrong.push(format!("not expected: {row}")),
            }
        }
        wrong.extend(left.iter().map(|row| format!("not found: {row}")));
        for (key, said, parts) in [
            ("Refused", &self.refused, &expected.refused),
            ("Note", &self.notes, &expected.notes),
        ] {
            let surplus = said
                .iter()
                .filter(|one| !parts.iter().any(|part| one.contains(part)));
            wrong.extend(surplus.map(|one| format!("not expected: {key}: {one}")));
            let missing = parts
                .iter()
                .filter(|part| !said.iter().any(|one| one.contains(*part)));
            wrong.extend(missing.map(|part| format!("not found: {key}: {part}")));
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }
}

/// A row as a header has it.
fn line(row: &Row) -> String {
    let key = match row.change {
        Change::Changed => "Changed",
        Change::New => "New",
        Change::Gone => "Gone",
    };
    let sort = if row.sort == "fn" { "" } else { "static " };
    let within = row
        .within
        .as_ref()
        .map_or_else(String::new, |one| format!(" in {one}"));
    format!("{key}: {sort}{}{within}", row.path)
}
