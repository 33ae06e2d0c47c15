//! Which lines of a source were edited.

use similar::{Algorithm, ChangeTag, TextDiff};
use std::ops::Range;
use std::time::Duration;

/// The lines of `new_source` that are other than in `old_source`, counted from 1.
///
/// Where lines were taken out, the line that follows counts as edited, or the last one: of a
/// statement's function, that is a line of the function.
#[must_use]
pub fn edited_lines(old_source: &str, new_source: &str) -> Vec<Range<u32>> {
    // A source of ten thousand lines takes milliseconds. Where every line is another, what
    // is found by then is right as well, only not the shortest.
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Patience)
        .timeout(Duration::from_secs(1))
        .diff_lines(old_source, new_source);
    let lines = new_source.lines().count();
    let mut edited: Vec<Range<u32>> = Vec::new();
    let mut next = 0;
    for change in diff.iter_all_changes() {
        // What similar says of the place of a deletion is not always right: it is behind
        // the line that came before it.
        let index = match (change.tag(), change.new_index()) {
            (ChangeTag::Equal, Some(index)) => {
                next = index + 1;
                continue;
            }
            (ChangeTag::Insert, Some(index)) => {
                next = index + 1;
                index
            }
            _ => next.min(lines.saturating_sub(1)),
        };
        let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
        match edited.last_mut() {
            Some(last) if last.end >= line => last.end = last.end.max(line.saturating_add(1)),
            _ => edited.push(line..line.saturating_add(1)),
        }
    }
    edited
}

#[cfg(test)]
mod tests {
    use super::edited_lines;
    use proptest::prelude::*;

    /// Which lines, as pairs of the first and the one behind the last.
    fn lines(old: &str, new: &str) -> Vec<(u32, u32)> {
        let edited = edited_lines(old, new);
        edited.iter().map(|one| (one.start, one.end)).collect()
    }

    const OLD: &str = "fn a() {\n    one();\n    two();\n}\n\nfn b() {\n    three();\n}\n";

    #[test]
    fn a_line_that_is_another_is_edited_and_so_is_one_that_is_new() {
        assert_eq!(lines(OLD, OLD), []);
        let other = OLD.replace("two", "zwei");
        assert_eq!(lines(OLD, &other), [(3, 4)]);
        let more = OLD.replace("    two();\n", "    two();\n    half();\n    more();\n");
        assert_eq!(lines(OLD, &more), [(4, 6)]);
        // What has only moved is not edited.
        let above = format!("// A comment.\n\n{OLD}");
        assert_eq!(lines(OLD, &above), [(1, 3)]);
        let both = above.replace("three", "drei");
        assert_eq!(lines(OLD, &both), [(1, 3), (9, 10)]);
    }

    #[test]
    fn where_a_line_is_gone_the_next_one_counts() {
        let less = OLD.replace("    two();\n", "");
        assert_eq!(lines(OLD, &less), [(3, 4)]);
        let cut = OLD.replace("fn b() {\n    three();\n}\n", "");
        assert_eq!(lines(OLD, &cut), [(5, 6)]);
        assert_eq!(lines(OLD, ""), [(1, 2)]);
        assert_eq!(lines("", ""), []);
        // The end of the last line alone.
        assert_eq!(lines("a\nb\n", "a\nb"), [(2, 3)]);
    }

    proptest! {
        #[test]
        fn lines_outside_of_the_ranges_are_lines_of_the_old_source(
            old in "([abc]\n){0,12}",
            new in "([abc]\n){0,12}",
        ) {
            let edited = edited_lines(&old, &new);
            prop_assert_eq!(edited.is_empty(), old == new);
            let mut rest = old.lines();
            for (index, line) in new.lines().enumerate() {
                let number = u32::try_from(index + 1).unwrap();
                if !edited.iter().any(|range| range.contains(&number)) {
                    prop_assert!(rest.any(|one| one == line), "line {} is new", number);
                }
            }
            for pair in edited.windows(2) {
                prop_assert!(pair[0].end < pair[1].start);
            }
        }
    }
}
