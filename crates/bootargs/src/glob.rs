//! Which tests a pattern selects.

/// Whether `pattern` describes all of `path`. A `*` stands for any run of
/// characters, `::` and nothing at all included; every other character stands
/// for itself.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == path;
    };
    let Some(mut path) = path.strip_prefix(head) else {
        return false;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The leftmost place is always a right one: it leaves the most for the
    // pieces that follow. So there is no going back, and the time is linear.
    for piece in middle.split('*') {
        let Some(at) = path.find(piece) else {
            return false;
        };
        path = &path[at + piece.len()..];
    }
    path.ends_with(tail)
}

/// Whether the test at `path` is among those that `patterns` ask for. No
/// pattern asks for every test. A pattern with a `*` goes by [`matches()`], one
/// without names either a test or, if it ends in `::`, everything below it.
#[must_use]
pub fn select(patterns: &[&str], path: &str) -> bool {
    let selects = |pattern: &str| {
        matches(pattern, path) || pattern.ends_with("::") && path.starts_with(pattern)
    };
    patterns.is_empty() || patterns.iter().any(|pattern| selects(pattern))
}
