//! The exercises that are answered in a file, and the questions.

use super::guest::Seen;
use crate::tool;
use std::fmt::Write as _;

/// Where the answers are, in the checkout.
const FILE: &str = "docs/exercises/answers.toml";

/// The threads of exercise 4.
const THREADS: [&str; 6] = ["ann", "bob", "cid", "dora", "eve", "fay"];

/// The numbers that exercise 2 asks for, each with what it is.
const NUMBERS: [(&str, &str); 3] = [
    (
        "word",
        "the word of the function that is another one, counted from 0",
    ),
    ("changed", "how many words of the kernel's text are others"),
    ("stub", "how many instructions the settled stub has"),
];

/// What was answered to exercise 2, in the order of [`NUMBERS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Site([u64; 3]);

fn file() -> Result<String, String> {
    let bytes = tool::read_file(&tool::workspace().join(FILE));
    let bytes = bytes.map_err(|error| format!("{error:#}"))?;
    String::from_utf8(bytes).map_err(|_| format!("{FILE} is not UTF-8"))
}

/// The answer to a question.
fn answer(text: &str, exercise: &str, question: &str) -> Result<toml::Value, String> {
    let table: toml::Table = toml::from_str(text)
        .map_err(|error| format!("{FILE} can't be read: {}", error.to_string().trim()))?;
    let place = format!("`{question}` of [{exercise}] in {FILE}");
    let value = table.get(exercise).and_then(|part| part.get(question));
    match value {
        None => Err(format!("expected: an answer to {place}; found: none")),
        Some(value) if value.as_str() == Some("?") => {
            Err(format!("not done yet: {place} is still a question mark"))
        }
        Some(value) => Ok(value.clone()),
    }
}

fn site_in(text: &str) -> Result<Site, String> {
    let mut numbers = [0; 3];
    for (number, (question, _)) in numbers.iter_mut().zip(NUMBERS) {
        let value = answer(text, "site", question)?;
        let found = value
            .as_integer()
            .and_then(|found| u64::try_from(found).ok());
        *number = found.ok_or_else(|| {
            format!("expected: a whole number for `{question}` in {FILE}; found: {value}")
        })?;
    }
    Ok(Site(numbers))
}

/// The answers to exercise 2.
pub fn site() -> Result<Site, String> {
    site_in(&file()?)
}

impl Site {
    /// Compares them with what a guest has counted.
    pub fn compare(self, seen: &Seen) -> Result<(), String> {
        for (answer, (question, what)) in self.0.into_iter().zip(NUMBERS) {
            let counted = seen.measured(&format!("site.{question}"));
            let counted = counted.ok_or("the guest has not counted words")?;
            if answer != counted {
                let size = if answer < counted { "small" } else { "large" };
                return Err(format!(
                    "expected: `{question}`, {what}, as the running kernel shows it; \
                     found: your answer {answer}, which is too {size}"
                ));
            }
        }
        Ok(())
    }
}

fn holders_in(text: &str) -> Result<Vec<String>, String> {
    let value = answer(text, "holders", "held")?;
    let names: Option<Vec<String>> = value.as_array().and_then(|names| {
        names
            .iter()
            .map(|name| name.as_str().map(Into::into))
            .collect()
    });
    let mut names = names.ok_or_else(|| {
        format!("expected: names for `held` in {FILE}, such as [\"ann\", \"bob\"]; found: {value}")
    })?;
    if let Some(name) = names.iter().find(|name| !THREADS.contains(&name.as_str())) {
        return Err(format!(
            "expected: names of threads for `held` in {FILE}: {}; found: `{name}`",
            THREADS.join(", ")
        ));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// The answer to exercise 4: names, sorted.
pub fn holders() -> Result<Vec<String>, String> {
    holders_in(&file()?)
}

/// Compares that with the threads that a guest has seen. Tells why each of them blocks
/// the transition.
pub fn compare_holders(answer: &[String], seen: &Seen) -> Result<String, String> {
    let held: Vec<(&str, &str)> = seen
        .events("blocked")
        .filter_map(|record| Some((record["name"].as_str()?, record["reason"].as_str()?)))
        .collect();
    let is_held = |name: &str| held.iter().any(|(held, _)| *held == name);
    if held.is_empty() {
        return Err("the guest has seen no thread that blocks the transition".into());
    }
    if let Some(name) = answer.iter().find(|name| !is_held(name)) {
        return Err(format!(
            "expected: the threads that block the transition; found: `{name}` in your answer, which has switched"
        ));
    }
    let missing = held.len() - answer.len();
    if missing > 0 {
        return Err(format!(
            "expected: all threads that block the transition; found: {} of them, all right, and {missing} more in the running kernel",
            answer.len()
        ));
    }
    Ok(held.iter().fold(String::new(), |mut text, (name, why)| {
        // Text grows as it must.
        let _ = write!(text, "\n    {name}: {why}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen() -> Seen {
        let measure = |name, value| json!({"event": "measure", "name": name, "value": value});
        let held = |name| json!({"event": "blocked", "name": name, "reason": "asleep"});
        let mut seen = Seen::default();
        seen.records = vec![
            measure("site.word", 3),
            measure("site.changed", 1),
            measure("site.stub", 6),
            held("ann"),
            held("cid"),
        ];
        seen
    }

    #[test]
    fn numbers_are_compared_without_being_given_away() {
        let text = |stub| format!("[site]\nword = 3\nchanged = 1\nstub = {stub}");
        let compared = |stub| site_in(&text(stub)).and_then(|site| site.compare(&seen()));
        assert_eq!(compared("6"), Ok(()));
        let why = compared("7").unwrap_err();
        assert!(
            why.contains("`stub`") && why.ends_with("7, which is too large"),
            "{why}"
        );
        assert!(compared("5").unwrap_err().ends_with("too small"));
        let why = compared("\"?\"").unwrap_err();
        assert!(why.starts_with("not done yet: `stub` of [site]"), "{why}");
        for bad in ["\"six\"", "-1", "1.5"] {
            let why = compared(bad).unwrap_err();
            assert!(why.contains(&format!("found: {bad}")), "{why}");
        }
        assert!(site_in("[site]").unwrap_err().ends_with("found: none"));
        assert!(site_in("[site").unwrap_err().contains("can't be read: "));
    }

    #[test]
    fn holders_are_compared_by_name() {
        let compared = |names: &str| {
            let held = holders_in(&format!("[holders]\nheld = {names}"))?;
            compare_holders(&held, &seen())
        };
        let right = compared("[\"cid\", \"ann\", \"cid\"]").unwrap();
        assert_eq!(right, "\n    ann: asleep\n    cid: asleep");
        let why = compared("[\"ann\", \"bob\"]").unwrap_err();
        assert!(
            why.contains("`bob` in your answer, which has switched"),
            "{why}"
        );
        let why = compared("[\"ann\"]").unwrap_err();
        assert!(
            why.contains("found: 1 of them, all right, and 1 more"),
            "{why}"
        );
        let why = compared("[\"zoe\"]").unwrap_err();
        assert!(why.ends_with("found: `zoe`"), "{why}");
        assert!(compared("\"?\"").unwrap_err().starts_with("not done yet: "));
        assert!(compared("7").unwrap_err().ends_with("found: 7"));
    }
}
