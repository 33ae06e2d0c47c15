//! Where each thing that differs is in the source, and what of the edit reaches it.

use super::patch::Row;
use crate::tool;
use debuginfo::{Functions, Why, edited_lines};
use kdiff::{Build, Change, Comparison};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// The lines of each source file that an edit has changed, in the new text.
#[derive(Debug, Default)]
pub struct Edit(BTreeMap<String, Vec<Range<u32>>>);

impl Edit {
    /// Compares the sources of two builds.
    #[must_use]
    pub fn between(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Edit {
        let changed = new.iter().filter_map(|(name, text)| {
            let before = old.get(name).map_or("", String::as_str);
            (before != text).then(|| (name.clone(), edited_lines(before, text)))
        });
        Edit(changed.collect())
    }

    /// Whether a line of a file, as debug information calls it, was edited.
    fn has(&self, file: &str, line: u32) -> bool {
        // C's are told from the folder of their package.
        let mut files = self.0.iter().filter(|(name, _)| name.ends_with(file));
        !file.is_empty() && files.any(|(_, lines)| lines.iter().any(|range| range.contains(&line)))
    }
}

/// A file as people look for it: in the tree, or in Rust's own library.
fn within_tree(file: &str) -> &str {
    const LIBRARY: &str = "/library/";
    let tree = tool::workspace()
        .to_str()
        .and_then(|tree| file.strip_prefix(tree));
    match (tree, file.find(LIBRARY)) {
        (Some(rest), _) => rest.trim_start_matches('/'),
        (None, Some(place)) => &file[place + 1..],
        (None, None) => file,
    }
}

/// A row for all that differs.
#[must_use]
pub fn rows(comparison: &Comparison, old: &Build<'_>, new: &Build<'_>, edit: &Edit) -> Vec<Row> {
    let mut known: HashMap<(bool, usize), Functions> = HashMap::new();
    let mut rows = Vec::new();
    for one in &comparison.functions {
        let is_gone = one.change == Change::Gone;
        let build = if is_gone { old } else { new };
        let functions = known.entry((is_gone, one.id.unit)).or_insert_with(|| {
            // An assembler's has none, and then nothing is known.
            Functions::read(build.object(one.id.unit)).unwrap_or_default()
        });
        let symbol = build.name(one.id);
        let mut row = Row::new(one.change, "fn", &one.name, &one.archive);
        if let Some(function) = functions.named(symbol).next()
            && !function.file.is_empty()
        {
            let file = within_tree(&function.file);
            row.place = format!("{file}:{}", function.line);
        }
        if !is_gone {
            let why = functions.who(symbol, &|file, line| edit.has(file, line));
            let inlined = why.iter().filter(|why| matches!(why, Why::Inlined { .. }));
            row.why = inlined.map(ToString::to_string).collect();
        }
        rows.push(row);
    }
    for one in &comparison.statics {
        rows.push(Row::new(one.change, "static", &one.name, &one.archive));
    }
    rows
}
