//! Modules that have gone, for records that name their code. What is loaded later may lie
//! where they were, so an address has a name only together with a time.

use crate::{arch, mm, symbols::Path, sync::IrqLock};
use arrayvec::{ArrayString, ArrayVec};
use core::fmt;
use memmap::Range;

/// How many are remembered by name.
const MODULES: usize = 16;
/// Names are no longer than this, in bytes; the rest is cut off.
const NAME_BYTES: usize = 32;

/// A module that has gone.
#[derive(Clone)]
struct Gone {
    name: ArrayString<NAME_BYTES>,
    range: Range,
    /// When, as timebase.
    time: u64,
}

struct Table {
    /// The oldest first.
    modules: ArrayVec<Gone, MODULES>,
    /// When the newest of those went that there was no room for.
    forgotten: u64,
}

static TABLE: IrqLock<Table> = IrqLock::new(Table {
    modules: ArrayVec::new_const(),
    forgotten: 0,
});

/// Takes note of a module that goes now. No code of it runs any more.
pub fn note(name: &str, range: Range) {
    let mut own = ArrayString::new();
    own.push_str(&name[..name.floor_char_boundary(NAME_BYTES)]);
    let mut table = TABLE.lock();
    if table.modules.is_full() {
        table.forgotten = table.modules.remove(0).time;
    }
    table.modules.push(Gone {
        name: own,
        range,
        time: arch::timebase(),
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
        let is_in = |range: &Range| (range.start..range.end).contains(&address);
        // Not locked while it is written: that may take long.
        let (gone, forgotten) = {
            let table = TABLE.lock();
            let mut modules = table.modules.iter();
            let gone = modules.find(|gone| time <= gone.time && is_in(&gone.range));
            (gone.cloned(), table.forgotten)
        };
        match gone {
            Some(Gone { name, range, .. }) => {
                write!(f, "{name}+{:#x} (gone)", address - range.start)
            }
            None if time <= forgotten && is_in(&mm::code::region()) => {
                write!(f, "{address:#x} (gone)")
            }
            None => Path(address).fmt(f),
        }
    }
}
