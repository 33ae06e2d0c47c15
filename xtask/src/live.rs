//! Live patches of the kernel from an edit of its source.

pub mod base;
pub mod channel;
mod command;
pub mod copies;
mod explain;
mod linked;
pub mod patch;
mod said;
pub mod tree;
mod types;

pub use command::{LiveArgs, live};

#[cfg(test)]
mod tests {
    use crate::tool;

    /// Where sentences are made that `live` tells.
    const SOURCES: [&str; 5] = [
        "crates/kdiff/src/error.rs",
        "xtask/src/live/command.rs",
        "xtask/src/live/said.rs",
        "xtask/src/live/patch.rs",
        "xtask/src/live/types.rs",
    ];

    fn read(file: &str) -> String {
        String::from_utf8(tool::read_file(&tool::workspace().join(file)).unwrap()).unwrap()
    }

    /// The texts in a source, each with `...` where something is put in.
    fn texts(source: &str) -> Vec<String> {
        let lines = source
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let code: String = lines.map(|line| format!("{line}\n")).collect();
        let code = code.replace("\\\"", "'");
        let inside = code.split('"').skip(1).step_by(2);
        inside
            .map(|text| {
                let parts = text.split("\\\n").map(str::trim_start);
                let mut text: String = parts.collect();
                while let Some((before, rest)) = text.split_once('{') {
                    let (_, behind) = rest.split_once('}').unwrap_or_default();
                    text = format!("{before}...{behind}");
                }
                text
            })
            .collect()
    }

    /// Whether a text has these parts one behind the other.
    fn has(text: &str, sentence: &str) -> bool {
        let mut rest = text;
        sentence.split("...").all(|part| {
            let found = rest.split_once(part);
            rest = found.map_or("", |(_, behind)| behind);
            found.is_some()
        })
    }

    #[test]
    fn what_the_document_says_is_refused_is_what_is_said() {
        let all: Vec<String> = SOURCES.iter().flat_map(|file| texts(&read(file))).collect();
        let document = read("docs/live.md");
        let (_, part) = document.split_once("\n## What is refused").unwrap();
        let (part, _) = part.split_once("\n## ").unwrap();
        let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
        let sentences: Vec<&str> = rows
            .map(|row| row.split(" | ").next().unwrap().trim_matches('`'))
            .collect();
        assert!(sentences.len() > 20, "{sentences:?}");
        for sentence in sentences {
            let is_made = all.iter().any(|text| has(text, sentence));
            assert!(is_made, "docs/live.md: no code says `{sentence}`");
        }
        assert!(
            !all.iter()
                .any(|text| has(text, "it ... begins with ... no such words"))
        );
    }
}
