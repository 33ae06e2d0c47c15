//! Compares what is printed with what a document shows.

/// Any lines; in a line, any text.
const ANYTHING: &str = "...";

/// Whether these lines are what was printed, blanks at the end of a line and empty
/// lines at the end aside, and addresses and times.
///
/// # Errors
/// The index of the first expected line that was not found; if all were and more was
/// printed, their number.
pub fn compare(expected: &[String], printed: &str) -> Result<(), usize> {
    let mut printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    while printed.last() == Some(&"") {
        printed.pop();
    }
    let mut expected: Vec<&str> = expected.iter().map(|line| line.trim_end()).collect();
    while expected.last() == Some(&"") {
        expected.pop();
    }
    let (mut wanted, mut at) = (0, 0);
    // The last `...`, and the first line that it does not stand for so far.
    let mut back: Option<(usize, usize)> = None;
    let mut furthest = 0;
    loop {
        furthest = furthest.max(wanted);
        match (expected.get(wanted), printed.get(at)) {
            (None, None) => return Ok(()),
            (Some(&ANYTHING), _) => {
                back = Some((wanted, at));
                wanted += 1;
            }
            (Some(pattern), Some(line)) if is_shown(pattern, line) => {
                wanted += 1;
                at += 1;
            }
            // It has to stand for one line more.
            (_, Some(_)) if let Some((dots, first)) = back => {
                back = Some((dots, first + 1));
                wanted = dots + 1;
                at = first + 1;
            }
            _ => return Err(furthest),
        }
    }
}

/// Whether a line is what is shown, addresses and times aside.
fn is_shown(pattern: &str, line: &str) -> bool {
    is_like(pattern, line) || is_like(&without_addresses(pattern), &without_addresses(line))
}

/// A line with one mark for each address and each time. If there are any, there is one
/// blank between two words: columns move with the width of numbers.
fn without_addresses(line: &str) -> String {
    let is_other = |word: &str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
        let number = |word: &str| word.parse::<f64>().is_ok();
        let time = ["ns", "µs", "ms", "s"];
        let hex = word.strip_prefix("0x").unwrap_or_default();
        (hex.len() > 2 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
            || time
                .iter()
                .any(|unit| word.strip_suffix(unit).is_some_and(number))
    };
    if !line.split_whitespace().any(is_other) {
        return line.to_owned();
    }
    let words = line.split_whitespace();
    let words: Vec<&str> = words
        .map(|word| if is_other(word) { "#" } else { word })
        .collect();
    words.join(" ")
}

/// Whether a line is what is shown.
fn is_like(pattern: &str, line: &str) -> bool {
    let Some((first, behind)) = pattern.split_once(ANYTHING) else {
        return pattern == line;
    };
    let (middle, last) = behind.rsplit_once(ANYTHING).unwrap_or(("", behind));
    let inner = line.strip_prefix(first);
    let Some(mut rest) = inner.and_then(|inner| inner.strip_suffix(last)) else {
        return false;
    };
    for part in middle.split(ANYTHING) {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expected: &str, printed: &str) -> Result<(), usize> {
        let expected: Vec<String> = expected.lines().map(String::from).collect();
        compare(&expected, printed)
    }

    #[test]
    fn equal_output_is_found_equal() {
        for (expected, printed) in [
            ("", ""),
            ("", "\n\n"),
            ("a\nb", "a  \nb\n"),
            ("a\n...\nb", "a\nb"),
            ("a\n...\nb", "a\nx\nb\ny\nb\n"),
            ("...", "anything\nat all"),
            ("...\na", "a\na\na"),
            ("...\na\nb\n...\nc", "a\na\nb\nb\nc"),
            ("after ... s, ...", "after 4.63 s, well"),
            ("... instead of ...", "0x1 instead of 0x2"),
            (
                "at 0xf5de00:  a  after 2.5ms",
                "at 0xf5de001: a after 1.5µs",
            ),
        ] {
            assert_eq!(of(expected, printed), Ok(()), "{expected:?} {printed:?}");
        }
    }

    #[test]
    fn the_first_line_that_is_missing_is_told() {
        for (expected, printed, missing) in [
            ("a", "", 0),
            ("a\nb", "a\nc", 1),
            ("a", "a\nb", 1),
            ("", "a", 0),
            ("...\nb", "a\na", 1),
            ("a\n...\nb\nc", "a\nx\nb\nd", 3),
            ("after ... s", "after 4.63 ms, really", 0),
            ("a...a", "a", 0),
            ("x ... y ... z", "x y z", 0),
            ("call leaf 0x10", "call leaf 0x11", 0),
            ("a  b", "a b", 0),
        ] {
            assert_eq!(
                of(expected, printed),
                Err(missing),
                "{expected:?} {printed:?}"
            );
        }
    }
}
