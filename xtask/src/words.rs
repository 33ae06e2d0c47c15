//! The vocabulary: words that are not to come back, each with the field's own word for it.

use crate::tool;
use anyhow::{Result, ensure};
use std::path::PathBuf;

/// What is not written, and what is written in its place.
const WORDS: [(&str, &str); 29] = [
    ("universe", "patch state"),
    ("universes", "patch states"),
    ("go over", "switch"),
    ("goes over", "switches"),
    ("going over", "switching"),
    ("gone over", "switched"),
    ("went over", "switched"),
    ("held up", "blocked"),
    ("hold it up", "block it"),
    ("holds it up", "blocks it"),
    ("hold a transition up", "block a transition"),
    ("holds a transition up", "blocks a transition"),
    ("hold the transition up", "block the transition"),
    ("holds the transition up", "blocks the transition"),
    ("holds up", "blocks"),
    ("blame", "attribute a fault"),
    ("guilty", "faulted"),
    ("victim", "target"),
    ("victims", "targets"),
    ("crew", "workload threads"),
    ("staff", "workload threads"),
    ("ledger", "snapshot"),
    ("somebody", "a caller, a thread, the user"),
    ("somebody's", "a caller's, a thread's, the user's"),
    ("nobody", "no thread, no caller, nothing"),
    ("nobody's", "of no thread"),
    ("everybody", "every thread, every caller"),
    ("anybody", "any thread, any caller"),
    ("whoever", "the thread that, the caller"),
];

/// What is looked at below the workspace, folders and files.
const PLACES: [&str; 17] = [
    "boot",
    "crates",
    "docs",
    "fuzz/fuzz_targets",
    "fuzz/Cargo.toml",
    "fuzz/README.md",
    "kernel",
    "lab",
    "patches",
    "scripts",
    "selftest",
    "tests",
    "xtask",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "Makefile",
    "README.md",
];

/// Files whose names end so hold text that people read.
const ENDS: [&str; 9] = [
    ".rs", ".md", ".S", ".c", ".h", ".py", ".toml", ".snap", "Makefile",
];

/// This list, and what is quoted from elsewhere.
const EXCEPT: [&str; 2] = ["xtask/src/words.rs", "docs/linux.md"];

/// A use of a word that is not to come back.
#[derive(Debug, Eq, PartialEq)]
struct Found {
    line: usize,
    word: &'static str,
    better: &'static str,
}

/// Looks at all sources and documents.
///
/// # Errors
/// When one has such a word; the message lists them. Or when one can't be read.
pub fn check() -> Result<()> {
    let root = tool::workspace();
    let mut files = Vec::new();
    for place in PLACES.map(|place| root.join(place)) {
        if place.is_dir() {
            files.extend(tool::files_below(&place)?);
        } else {
            files.push(place);
        }
    }
    let is_read = |file: &PathBuf| {
        let name = file.to_string_lossy();
        ENDS.iter().any(|end| name.ends_with(end))
    };
    let mut said = String::new();
    for file in files.into_iter().filter(is_read) {
        let name = file.strip_prefix(root).unwrap_or(&file).display();
        let name = name.to_string();
        if EXCEPT.contains(&name.as_str()) {
            continue;
        }
        let text = String::from_utf8_lossy(&tool::read_file(&file)?).into_owned();
        for Found { line, word, better } in find(&text) {
            said += &format!("\n  {name}:{line}: `{word}`: {better}");
        }
    }
    ensure!(
        said.is_empty(),
        "words that have a better one (xtask/src/words.rs):{said}"
    );
    Ok(())
}

/// The uses in a text, however its lines are broken and commented.
fn find(text: &str) -> Vec<Found> {
    let is_part = |c: char| c.is_ascii_alphabetic() || c == '\'';
    let mut words = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let parts = content
            .split(|c| !is_part(c))
            .filter(|part| !part.is_empty());
        words.extend(parts.map(|part| (line, part.to_ascii_lowercase())));
    }
    let mut found = Vec::new();
    for (word, better) in WORDS {
        let wanted: Vec<&str> = word.split(' ').collect();
        for place in words.windows(wanted.len()) {
            if place
                .iter()
                .map(|(_, word)| word.as_str())
                .eq(wanted.iter().copied())
            {
                let line = place[0].0;
                found.push(Found { line, word, better });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_across_lines_and_not_inside_others() {
        let text =
            "// A thread has gone\n// over.\nlet victim_of = Whoever;\n// staffed, universal\n";
        let found: Vec<_> = find(text)
            .into_iter()
            .map(|one| (one.line, one.word))
            .collect();
        assert_eq!(found, [(1, "gone over"), (3, "victim"), (3, "whoever")]);
    }

    #[test]
    fn places_exist() {
        for place in PLACES.iter().chain(&EXCEPT) {
            assert!(tool::workspace().join(place).exists(), "{place}");
        }
    }
}
