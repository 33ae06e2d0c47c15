//! Modules that have gone, for records that name their code. What is loaded later may lie
//! where they were, so an address has a name only together with a time.

use arrayvec::{ArrayString, ArrayVec};
use core::fmt;
use machine::{
    arch,
    symbols::{self, Path},
    sync::IrqLock,
    text,
};
use memmap::Range;

/// How many are remembered by name: those that went last.
const MODULES: usize = 16;
/// Names are no longer than this, in bytes; the rest is cut off.
const NAME_BYTES: usize = 32;

/// A module that has gone.
#[derive(Clone)]
struct Gone {
    name: ArrayString<NAME_BYTES>,
    range: Range,
    /// When it came and went, as timebase.
    time: Range,
}

/// The oldest first.
static GONE: IrqLock<ArrayVec<Gone, MODULES>> =
    IrqLock::named("tracing::GONE", ArrayVec::new_const());

/// Takes note of a module that goes now. No code of it runs any more, and its symbols are
/// still there.
pub fn note(name: &str, range: Range) {
    let mut own = ArrayString::new();
    own.push_str(&name[..name.floor_char_boundary(NAME_BYTES)]);
    let time = Range {
        start: symbols::since(range.start).unwrap_or(0),
        end: arch::timebase(),
    };
    let mut modules = GONE.lock();
    if modules.is_full() {
        modules.remove(0);
    }
    modules.push(Gone {
        name: own,
        range,
        time,
    });
}

/// Writes an address as the path of the function that was there at a time: of a module that
/// has gone since, as place in the module.
#[derive(Clone, Copy, Debug)]
pub struct PathAt {
    /// The address.
    pub address: u64,
    /// The time, as timebase.
    pub time: u64,
}

impl fmt::Display for PathAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, time } = *self;
        if symbols::since(address).is_some_and(|since| since <= time) {
            return Path(address).fmt(f);
        }
        let is_it = |gone: &&Gone| {
            (gone.range.start..gone.range.end).contains(&address)
                && (gone.time.start..=gone.time.end).contains(&time)
        };
        // Not locked while it is written: that may take long.
        let gone = { GONE.lock().iter().find(is_it).cloned() };
        match gone {
            Some(Gone { name, range, .. }) => {
                write!(f, "{name}+{:#x} (gone)", address - range.start)
            }
            None if text::is_code(address) => write!(f, "{address:#x} (gone)"),
            None => write!(f, "{address:#x}"),
        }
    }
}
