//! What the author of a change has called around the patch: the statics that `klp::hook!` makes.

use crate::compare::{Change, Comparison, Id};
use crate::meaning::{self, Place};
use crate::unit::Unit;
use crate::{Build, Refusal};
use klp::hook::{Hook as Layout, SECTION};
use std::mem::offset_of;

/// A hook: functions to call, and which statics they bring up to date.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hook {
    /// By the linker's name.
    name: String,
    /// Unit and symbol of each callback, by the offset of its field in `klp::Callbacks`.
    pub(crate) callbacks: Vec<(usize, usize, usize)>,
    /// The paths of the statics, and of the types.
    updates: Vec<String>,
}

impl Hook {
    /// Whether it says that it brings a static or the values of a type up to date.
    #[must_use]
    pub fn updates(&self, path: &str) -> bool {
        self.updates.iter().any(|one| one == path)
    }

    /// Whether it came with the edit, or one of its callbacks did. One that the kernel was booted
    /// from is as it was.
    pub(crate) fn is_edited(&self, comparison: &Comparison) -> bool {
        let mut statics = comparison.statics.iter();
        let mut functions = comparison.functions.iter();
        let is_callback = |id: Id| {
            let called = |&(_, unit, symbol): &_| (unit, symbol) == (id.unit, id.symbol);
            self.callbacks.iter().any(called)
        };
        statics.any(|one| one.change != Change::Gone && one.name == self.name)
            || functions.any(|one| one.change != Change::Gone && is_callback(one.id))
    }
}

/// All hooks of a build.
///
/// # Errors
/// When one is not as the macro makes it.
pub(crate) fn read(new: &Build<'_>) -> Result<Vec<Hook>, Refusal> {
    let mut hooks = Vec::new();
    for (number, unit) in new.units.iter().enumerate() {
        for symbol in unit.statics() {
            if unit.sections[symbol.section].name != SECTION {
                continue;
            }
            let bad = || Refusal::Hook {
                name: symbol.name.to_owned(),
            };
            if symbol.size != size_of::<Layout>() as u64 {
                return Err(bad());
            }
            let mut hook = Hook {
                name: symbol.name.to_owned(),
                callbacks: Vec::new(),
                updates: Vec::new(),
            };
            for link in unit.links_in(symbol.section, symbol.value, symbol.size) {
                let field = (link.offset - symbol.value) as usize;
                if field == offset_of!(Layout, updates) {
                    let bytes = unit.bytes_of(symbol);
                    let count = bytes.get(field + 8..).and_then(|rest| rest.first_chunk());
                    let count = count.map_or(0, |count| u64::from_le_bytes(*count));
                    hook.updates = texts(unit, link, count).ok_or_else(bad)?;
                    continue;
                }
                let Place::Named {
                    symbol: called,
                    offset: 0,
                } = meaning::place(unit, link)
                else {
                    return Err(bad());
                };
                let (home, called) = match called.section {
                    0 => new.global(called.name).ok_or_else(bad)?,
                    _ => (number, called),
                };
                let field = field - offset_of!(Layout, callbacks);
                hook.callbacks.push((field, home, called.number));
            }
            hooks.push(hook);
        }
    }
    Ok(hooks)
}

/// The texts of a `&[&str]` that a link leads to.
fn texts(unit: &Unit<'_>, link: &crate::unit::Link, count: u64) -> Option<Vec<String>> {
    let (section, start) = data(unit, link)?;
    (0..count)
        .map(|index| {
            let at = start + 16 * index;
            let bytes = unit.sections[section].bytes;
            let length = bytes.get(at as usize + 8..)?.first_chunk()?;
            let length = u64::from_le_bytes(*length) as usize;
            let link = unit.links_in(section, at, 8).first()?;
            let (section, start) = data(unit, link)?;
            let text = unit.sections[section]
                .bytes
                .get(start as usize..)?
                .get(..length)?;
            Some(std::str::from_utf8(text).ok()?.to_owned())
        })
        .collect()
}

fn data(unit: &Unit<'_>, link: &crate::unit::Link) -> Option<(usize, u64)> {
    match meaning::place(unit, link) {
        Place::In { section, offset } => Some((section, u64::try_from(offset).ok()?)),
        Place::Named { symbol, offset } => {
            Some((symbol.section, symbol.value.checked_add_signed(offset)?))
        }
        Place::Slot(_) => None,
    }
}
