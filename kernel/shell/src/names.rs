//! Functions, threads and numbers as they are typed.

use super::error::CommandError;
use alloc::{format, string::String, sync::Arc, vec::Vec};
use arrayvec::ArrayString;
use core::{fmt::Write, ops::ControlFlow};
use machine::{
    mm,
    symbols::{self, FunctionEntry},
};
use symtab::{Kind, Symbol};
use thread::Thread;

/// Longest path that is looked at. Longer ones are found by their linker names.
const PATH: usize = 256;

/// A path without room for more on the heap.
pub type PathText = ArrayString<PATH>;

/// A function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its global entry.
    pub address: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Its path.
    pub path: String,
    /// How many bytes from the global to the local entry.
    pub local_entry: u64,
}

impl Function {
    fn new(symbol: &Symbol<'_>) -> Self {
        Self {
            address: symbol.address,
            size: symbol.size,
            path: format!("{}", symbol.path()),
            local_entry: u64::from(symbol.local_entry),
        }
    }
}

/// A symbol's path; nothing if it is too long.
pub fn path_of(symbol: &Symbol<'_>) -> Option<PathText> {
    let mut text = PathText::new();
    write!(text, "{}", symbol.path()).ok()?;
    Some(text)
}

/// Whether `name` is a path, or its end behind a `::`.
pub fn is_named(path: &str, name: &str) -> bool {
    (path.strip_suffix(name)).is_some_and(|before| before.is_empty() || before.ends_with("::"))
}

/// The function that a name or an address stands for: a path, the end of one, or
/// `0x` and an address inside it.
pub fn function(name: &str) -> Result<Function, CommandError> {
    if let Some(address) = address(name) {
        let entry = symbols::function_at(address);
        let FunctionEntry {
            address,
            local_entry,
        } = entry.ok_or_else(|| CommandError::expected("an address inside a function", name))?;
        return Ok(Function {
            address,
            size: symbols::size_at(address).unwrap_or(0),
            path: format!("{}", symbols::Path(address)),
            local_entry: u64::from(local_entry),
        });
    }
    let found = functions(name);
    match &found[..] {
        [only] => Ok(only.clone()),
        [] => Err(instances(name).unwrap_or_else(|| {
            let what =
                "a function's path, the end of one, or an address (`sym` finds parts of names)";
            CommandError::expected(what, name)
        })),
        several => {
            let exact: Vec<_> = several.iter().filter(|one| one.path == name).collect();
            if let [only] = exact[..] {
                return Ok(only.clone());
            }
            // The kernel's own comes before those that patches bring.
            let image = mm::kernel_image();
            let own = several.iter().filter(|one| one.address < image.end);
            if let [only] = own.collect::<Vec<_>>()[..] {
                return Ok(only.clone());
            }
            let mut list = String::new();
            for one in several.iter().take(4) {
                let _ = write!(list, " {}", one.path);
                if exact.len() > 1 {
                    let _ = write!(list, " at {:#x}", one.address);
                }
            }
            if several.len() > 4 {
                let _ = write!(list, " and {} more", several.len() - 4);
            }
            Err(CommandError::refused(format!(
                "`{name}` may be any of {} functions:{list}",
                several.len()
            )))
        }
    }
}

/// A path without what stands between `::<` and its `>`: the generic function's own.
fn generic(path: &str) -> String {
    let (mut plain, mut depth) = (String::new(), 0_usize);
    let mut rest = path;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("::<") {
            depth += 1;
            rest = &rest[2..];
        } else if depth > 0 && c == '<' {
            depth += 1;
        } else if depth > 0 && c == '>' && !rest.starts_with("->") {
            depth -= 1;
        } else if depth == 0 {
            plain.push(c);
        }
        // `->` is in a function's type, and closes nothing.
        let skip = if depth > 0 && rest.starts_with("->") {
            2
        } else {
            c.len_utf8()
        };
        rest = &rest[skip.min(rest.len())..];
    }
    plain
}

/// How many instances are named.
const INSTANCES: usize = 6;

/// The answer to a generic function's name: its instances, which have code.
fn instances(name: &str) -> Option<CommandError> {
    let last = name.rsplit("::").next()?;
    let (mut list, mut count) = (String::new(), 0);
    symbols::for_each(|symbol| {
        if symbol.kind == Kind::Function
            && symbol.name.contains(last)
            && let Some(path) = path_of(symbol)
            && path.contains("::<")
            && is_named(&generic(&path), name)
        {
            count += 1;
            if count <= INSTANCES {
                let _ = write!(list, "\n  {:#x}  {path}", symbol.address);
            }
        }
        ControlFlow::Continue(())
    });
    if count > INSTANCES {
        let _ = write!(list, "\n  and {} more", count - INSTANCES);
    }
    let what = format!(
        "`{name}` is generic, and has code only where it is used; take one by its address:{list}"
    );
    (count > 0).then(|| CommandError::refused(what))
}

fn functions(name: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let last = name.rsplit("::").next().unwrap_or(name);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let last = if last.chars().all(is_plain) { last } else { "" };
    symbols::for_each(|symbol| {
        // Names hold their path's last part as it is, mangled or not: most need not
        // be taken apart.
        if symbol.kind == Kind::Function
            && symbol.name.contains(last)
            && (symbol.name == name || path_of(symbol).is_some_and(|path| is_named(&path, name)))
        {
            found.push(Function::new(symbol));
        }
        ControlFlow::Continue(())
    });
    found
}

/// `0x` and hexadecimal digits.
pub fn address(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// A whole number, decimal or hexadecimal, in a range.
pub fn number(text: &str, least: u64, most: u64) -> Result<u64, CommandError> {
    let number = text.parse().ok().or_else(|| address(text));
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            CommandError::expected(format!("a whole number from {least} to {most}"), text)
        })
}

/// The thread of a number, or the only one of a name.
pub fn one_thread(text: &str) -> Result<Arc<Thread>, CommandError> {
    let number = text.rsplit('-').next().and_then(|end| end.parse().ok());
    let by_number = number.and_then(thread::find).filter(|thread| {
        text.parse() == Ok(thread.id()) || text == format!("{}-{}", thread.name(), thread.id())
    });
    if let Some(thread) = by_number {
        return Ok(thread);
    }
    let named: Vec<_> = thread::all().filter(|one| one.name() == text).collect();
    match &named[..] {
        [only] => Ok(only.clone()),
        [] => {
            let all: Vec<_> = thread::all().collect();
            let near = nearest(text, all.iter().map(|one| one.name()));
            let what = "a thread's name or number (`threads` lists them)";
            Err(CommandError::expected_near(what, text, near))
        }
        several => Err(CommandError::refused(format!(
            "{} threads are called `{text}`; take one by its number: `{text}-{}`",
            several.len(),
            several[0].id()
        ))),
    }
}

/// The candidate that differs least from what was typed, if that is little.
pub fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let most = match typed.len() {
        0 => return None,
        1..=4 => 1,
        _ => 2,
    };
    let with_distance = candidates.map(|one| (distance(typed, one), one));
    let best = with_distance.min_by_key(|&(distance, _)| distance)?;
    (best.0 <= most).then(|| best.1.into())
}

/// How many characters have to be put in, left out, changed or swapped with the next
/// one to make one text of the other. Texts that are long count as far apart.
fn distance(one: &str, other: &str) -> usize {
    const LONGEST: usize = 32;
    let (one, other) = (one.as_bytes(), other.as_bytes());
    // At least by so much; and a few are all that is asked for.
    let least = one.len().abs_diff(other.len());
    if one.len() > LONGEST || other.len() > LONGEST || least > 2 {
        return LONGEST;
    }
    // Bytes, for they are copied for each row.
    let mut before = [0; LONGEST + 1];
    let mut above: [u8; LONGEST + 1] = core::array::from_fn(|index| index as u8);
    for (row, &a) in one.iter().enumerate() {
        let mut this = [row as u8 + 1; LONGEST + 1];
        for (column, &b) in other.iter().enumerate() {
            let changed = above[column] + u8::from(a != b);
            let mut best = changed.min(above[column + 1] + 1).min(this[column] + 1);
            if row > 0 && column > 0 && a == other[column - 1] && one[row - 1] == b {
                best = best.min(before[column - 1] + 1);
            }
            this[column + 1] = best;
        }
        (before, above) = (above, this);
    }
    usize::from(above[other.len()])
}
