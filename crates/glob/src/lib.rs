//! Patterns over paths of functions and tests.
#![no_std]
#![forbid(unsafe_code)]

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
