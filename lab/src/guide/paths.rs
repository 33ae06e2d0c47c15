//! Paths of functions, in full and in short.

use alloc::{format, string::String};
use machine::symbols;

/// Path and offset of what covers an address.
pub fn full(address: u64) -> Option<String> {
    let place = format!("{}", symbols::Place(address));
    let (path, _size) = place.rsplit_once('/')?;
    Some(path.into())
}

/// Where the parts of a path begin, from the last; those within `<>` are one.
fn parts(path: &str) -> impl Iterator<Item = usize> {
    let mut depth = 0;
    let bytes = path.as_bytes();
    (1..bytes.len()).rev().filter_map(move |at| {
        match bytes[at] {
            b'>' => depth += 1,
            b'<' => depth -= 1,
            _ => {}
        }
        (depth == 0 && &bytes[at - 1..=at] == b"::").then_some(at + 1)
    })
}

/// The last part of a path.
pub fn last(path: &str) -> &str {
    parts(path).next().map_or(path, |at| &path[at..])
}

/// The last two parts: enough to tell an old function from a new one.
pub fn short(path: &str) -> &str {
    parts(path).nth(1).map_or(path, |at| &path[at..])
}
