//! The conformance matrix, from the file that `matrix` writes.

use super::schema;
use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// The variants, as they come in the file.
    pub variants: Vec<String>,
    /// The cases, likewise.
    pub cases: Vec<String>,
    cells: BTreeMap<(String, String), Cell>,
}

/// A variant in a case.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Cell {
    /// The variant.
    pub variant: String,
    /// The case.
    pub case: String,
    /// What the variant declares about itself.
    pub expected: Judgement,
    /// What was found.
    pub observed: Judgement,
    /// Why it is expected, if it is not a pass, and what was found.
    pub reason: String,
}

/// How a variant does in a case.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// What the case asks for was found.
    Pass,
    /// Something else was found.
    Fail,
    /// The kernel did not let it come to that.
    Refused,
    /// The case makes no sense here.
    NotApplicable,
}

impl Judgement {
    /// All of them.
    pub const ALL: [Judgement; 4] = [
        Judgement::Pass,
        Judgement::Fail,
        Judgement::Refused,
        Judgement::NotApplicable,
    ];

    /// It in a word, and a sign that is not a colour.
    #[must_use]
    pub const fn shown(self) -> (&'static str, &'static str) {
        match self {
            Judgement::Pass => ("pass", "✓"),
            Judgement::Fail => ("fail", "✗"),
            Judgement::Refused => ("refused", "⊘"),
            Judgement::NotApplicable => ("n/a", "–"),
        }
    }

    /// Its name in the style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Judgement::Pass => "pass",
            Judgement::Fail => "fail",
            Judgement::Refused => "refused",
            Judgement::NotApplicable => "na",
        }
    }
}

impl Cell {
    /// Whether it is as the variant declares.
    #[must_use]
    pub fn as_declared(&self) -> bool {
        self.expected == self.observed
    }
}

impl Matrix {
    /// Reads the file.
    ///
    /// # Errors
    /// When it has another form, no cell, or a cell twice.
    pub fn read(file: &Value) -> Result<Matrix> {
        let list: Vec<Cell> = schema(file, "cells")?;
        let (mut variants, mut cases) = (Vec::new(), Vec::new());
        let mut cells = BTreeMap::new();
        for cell in list {
            for (names, name) in [(&mut variants, &cell.variant), (&mut cases, &cell.case)] {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            let key = (cell.variant.clone(), cell.case.clone());
            ensure!(!cells.contains_key(&key), "cell {key:?} is there twice");
            cells.insert(key, cell);
        }
        ensure!(!cells.is_empty(), "there is no cell in it");
        Ok(Matrix {
            variants,
            cases,
            cells,
        })
    }

    /// A cell, if that variant was asked by that case.
    #[must_use]
    pub fn cell(&self, variant: &str, case: &str) -> Option<&Cell> {
        self.cells.get(&(variant.to_owned(), case.to_owned()))
    }

    /// How many cells were found to be this.
    #[must_use]
    pub fn count(&self, observed: Judgement) -> usize {
        let all = self.cells.values();
        all.filter(|cell| cell.observed == observed).count()
    }

    /// How many cells are not as declared.
    #[must_use]
    pub fn surprises(&self) -> usize {
        let all = self.cells.values();
        all.filter(|cell| !cell.as_declared()).count()
    }

    /// The cells that are to be explained, by their reasons: a variant's, in the order
    /// of the cases.
    pub fn explained<'a>(&'a self, variant: &'a str) -> impl Iterator<Item = &'a Cell> {
        let of_variant = self
            .cases
            .iter()
            .filter_map(|case| self.cell(variant, case));
        of_variant.filter(|cell| cell.observed != Judgement::Pass || !cell.as_declared())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cell(variant: &str, expected: &str, observed: &str) -> Value {
        json!({"variant": variant, "case": "c", "expected": expected, "observed": observed,
            "reason": "r"})
    }

    #[test]
    fn cells_are_counted_and_surprises_seen() {
        let cells = [
            cell("b", "pass", "pass"),
            cell("a", "pass", "not_applicable"),
        ];
        let matrix = Matrix::read(&json!({"schema": 1, "cells": cells})).unwrap();
        assert_eq!(matrix.variants, ["b", "a"]);
        let counts = Judgement::ALL.map(|one| matrix.count(one));
        assert_eq!((counts, matrix.surprises()), ([1, 0, 0, 1], 1));
        assert_eq!(matrix.explained("a").count(), 1);
        assert_eq!(matrix.explained("b").count(), 0);
        assert!(matrix.cell("a", "d").is_none());
    }

    #[test]
    fn another_form_is_refused() {
        let twice = [cell("a", "pass", "pass"), cell("a", "pass", "fail")];
        for file in [
            json!({"schema": 1, "cells": []}),
            json!({"schema": 2, "cells": [cell("a", "pass", "pass")]}),
            json!({"schema": 1, "cells": [cell("a", "pass", "maybe")]}),
            json!({"schema": 1, "cells": twice}),
            json!([]),
        ] {
            assert!(Matrix::read(&file).is_err(), "{file}");
        }
    }
}
