//! What a guest reports, one JSON object a line, and the files that commands leave for
//! their users.

use crate::tool;
use anyhow::Result;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where a command has its guest report to: `target/klplab/NAME.jsonl`.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let name = format!("{name}.jsonl");
    tool::target_dir().join("klplab").join(name)
}

/// The records of a report. A line that is none is passed over: a guest that ended in
/// the middle of one has said so on its console already.
///
/// # Errors
/// When the file can't be read.
pub fn read(report: &Path) -> Result<Vec<Value>> {
    let bytes = tool::read_file(report)?;
    let lines = bytes.split(|&byte| byte == b'\n');
    let records = lines.filter_map(|line| serde_json::from_slice(line).ok());
    Ok(records.collect())
}

/// The records of a kind.
pub fn of<'r>(records: &'r [Value], event: &str) -> impl Iterator<Item = &'r Value> {
    records
        .iter()
        .filter(move |record| record["event"] == event)
}

/// A file that a command leaves: `target/report/NAME`.
#[must_use]
pub fn kept(name: &str) -> PathBuf {
    tool::target_dir().join("report").join(name)
}

/// Writes a file of JSON as a whole, for people too.
///
/// # Errors
/// When it can't be written.
pub fn keep(path: &Path, content: &Value) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(content)?;
    bytes.push(b'\n');
    tool::replace_file(path, &bytes)
}

/// Keeps a file with the list `what`, for which a command was asked, and says where it
/// is. Without an entry there is nothing to keep: the file of an earlier run stays.
///
/// # Errors
/// When it can't be written.
pub fn leave(path: &Path, what: &str, content: &Value) -> Result<()> {
    if content[what]
        .as_array()
        .is_some_and(|list| !list.is_empty())
    {
        keep(path, content)?;
        eprintln!("klplab: the {what} are in {}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(label: &str) -> PathBuf {
        std::env::temp_dir().join(format!("records-{label}-{}", std::process::id()))
    }

    #[test]
    fn a_report_is_read_up_to_where_the_guest_ended() {
        let path = file("cut");
        let text = b"{\"event\":\"a\"}\n{\"event\":\"b\",\"n\":1}\nno JSON\n\n{\"event\":\"\xc3";
        std::fs::write(&path, text).unwrap();
        let records = read(&path).unwrap();
        assert_eq!(
            records,
            [json!({"event": "a"}), json!({"event": "b", "n": 1})]
        );
        assert_eq!(of(&records, "b").count(), 1);
        std::fs::remove_file(&path).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("could not be read"), "{error}");
    }

    #[test]
    fn a_kept_file_is_whole_lines() {
        let path = file("kept");
        keep(&path, &json!({"schema": 1})).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\n  \"schema\": 1\n}\n"
        );
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_list_without_entries_leaves_the_earlier_file() {
        let path = file("left");
        leave(&path, "steps", &json!({"steps": []})).unwrap();
        assert!(!path.exists());
        leave(&path, "steps", &json!({"steps": [1]})).unwrap();
        leave(&path, "steps", &json!({"steps": []})).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains('1'));
        std::fs::remove_file(&path).unwrap();
    }
}
