//! Which tests a pattern selects.

use glob::matches;

/// Whether the test at `path` is among those that `patterns` ask for. No
/// pattern asks for every test. [`matches()`] decides for a pattern with a `*`; one
/// without names either a test or, if it ends in `::`, everything below it.
#[must_use]
pub fn select(patterns: &[&str], path: &str) -> bool {
    let selects = |pattern: &str| {
        matches(pattern, path) || pattern.ends_with("::") && path.starts_with(pattern)
    };
    patterns.is_empty() || patterns.iter().any(|pattern| selects(pattern))
}
