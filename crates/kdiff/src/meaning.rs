//! What a relocation refers to, in words that two builds share.
//!
//! What has a name is known by it; a constant without one by its bytes and by what they refer
//! to; a slot of the TOC by what it holds. Numbers that the compiler gives to constants, their
//! places and their sections say nothing. Neither do line and column of a
//! `core::panic::Location`: what stands below an edit has moved, and is the same.

use crate::Build;
use crate::names::Names;
use crate::unit::{Kind, Link, Symbol, Unit};
use object::elf;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What a relocation refers to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Meaning {
    /// A function or a static, or a name of the linker's.
    Symbol { name: String, offset: i64 },
    /// A place in the same function or static.
    Within(i64),
    /// The slot of the TOC that holds this.
    Slot(Box<Meaning>),
    /// A string up to its zero.
    Text(Vec<u8>),
    /// A constant without a name, by a sum over what it holds.
    Constant { sum: u128, offset: i64 },
    /// Data without a name that may change.
    Written { section: String, offset: i64 },
    /// A constant that is being looked at already, or is referred to through too many others.
    Again,
}

/// Bytes, and what they refer to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) links: Vec<(u64, u32, Meaning)>,
}

impl Content {
    fn sum(&self) -> u128 {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            self.hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(0) << 64 | half(1)
    }
}

/// How many references lead from a function to a constant at most, one behind the other, for the
/// constant to be looked at. The compiler's have a handful.
const DEPTH: u32 = 64;

/// A `core::panic::Location`: where the file's name is, how long it is, line, column.
const LOCATION: usize = 24;
/// Line and column in it.
const LINE: std::ops::Range<usize> = 16..24;

/// The meanings of one build.
pub(crate) struct Meanings<'b, 'd> {
    build: &'b Build<'d>,
    names: &'b Names,
    known: RefCell<HashMap<(usize, usize), Option<u128>>>,
    depth: Cell<u32>,
}

impl<'b, 'd> Meanings<'b, 'd> {
    pub(crate) fn new(build: &'b Build<'d>, names: &'b Names) -> Self {
        Self {
            build,
            names,
            known: RefCell::default(),
            depth: Cell::new(0),
        }
    }

    /// A function or static: its bytes, and what they refer to.
    pub(crate) fn of(&self, unit: usize, symbol: &Symbol<'d>) -> Content {
        self.part(unit, symbol.section, symbol.value, symbol.size)
    }

    /// A part of a section: its bytes, and what they refer to.
    pub(crate) fn part(&self, unit: usize, section: usize, start: u64, size: u64) -> Content {
        let owner = &self.build.units[unit];
        let links = owner.links_in(section, start, size);
        Content {
            bytes: owner.bytes_in(section, start, size).to_owned(),
            links: links
                .iter()
                .map(|link| {
                    let meaning = self.target(unit, section, start, link);
                    (link.offset - start, link.kind, meaning)
                })
                .collect(),
        }
    }

    /// What a link in a section refers to, of a function or static that begins at `start`.
    fn target(&self, unit: usize, here: usize, start: u64, link: &Link) -> Meaning {
        let owner = &self.build.units[unit];
        match place(owner, link) {
            Place::Named { symbol, offset } => Meaning::Symbol {
                name: self.names.common(symbol.name).to_owned(),
                offset,
            },
            Place::In { section, offset } if section == here => {
                Meaning::Within(offset.wrapping_sub(start as i64))
            }
            Place::Slot(slot) => {
                let held = slot.and_then(|link| self.deeper(|| self.target(unit, 0, 0, link)));
                Meaning::Slot(Box::new(held.unwrap_or(Meaning::Again)))
            }
            Place::In { section, offset } => self.unnamed(unit, section, offset),
        }
    }

    /// Looks one reference further, if that is not too far.
    fn deeper<T>(&self, look: impl FnOnce() -> T) -> Option<T> {
        let depth = self.depth.get();
        if depth >= DEPTH {
            return None;
        }
        self.depth.set(depth + 1);
        let found = look();
        self.depth.set(depth);
        Some(found)
    }

    fn unnamed(&self, unit: usize, index: usize, offset: i64) -> Meaning {
        let section = &self.build.units[unit].sections[index];
        if section.strings {
            return Meaning::Text(text(section.bytes, offset).to_owned());
        }
        if let Some(bytes) = entry(section.name, section.bytes, offset) {
            return Meaning::Text(bytes.to_owned());
        }
        if section.kind != Kind::Constant {
            let section = section.name.to_owned();
            return Meaning::Written { section, offset };
        }
        let known = self.known.borrow().get(&(unit, index)).copied();
        let sum = known.unwrap_or_else(|| {
            // Found again on the way down, it is [`Meaning::Again`].
            self.known.borrow_mut().insert((unit, index), None);
            let sum = self.deeper(|| self.constant(unit, index).sum());
            self.known.borrow_mut().insert((unit, index), sum);
            sum
        });
        sum.map_or(Meaning::Again, |sum| Meaning::Constant { sum, offset })
    }

    fn constant(&self, unit: usize, index: usize) -> Content {
        let owner = &self.build.units[unit];
        let mut bytes = owner.sections[index].bytes.to_owned();
        let links = owner.links(index);
        if let [file] = links
            && (file.offset, file.kind) == (0, elf::R_PPC64_ADDR64.0)
            && bytes.len() == LOCATION
            && is_source(owner, file)
        {
            bytes[LINE].fill(0);
        }
        let links = links
            .iter()
            .map(|link| (link.offset, link.kind, self.target(unit, index, 0, link)))
            .collect();
        Content { bytes, links }
    }
}

/// Where a link leads.
pub(crate) enum Place<'a, 'd> {
    /// To a symbol with a name.
    Named { symbol: &'a Symbol<'d>, offset: i64 },
    /// To a slot of the TOC, which gets its value from this link.
    Slot(Option<&'a Link>),
    /// Into a section, where nothing has a name.
    In { section: usize, offset: i64 },
}

/// Where a link of a unit's leads.
pub(crate) fn place<'a, 'd>(unit: &'a Unit<'d>, link: &Link) -> Place<'a, 'd> {
    let symbol = &unit.symbols[link.symbol];
    // What all units know has a name, a piece of assembler's without a type too.
    let unnamed =
        symbol.named == crate::Named::Nothing && symbol.local || symbol.name.starts_with(".L");
    // What is defined elsewhere has no sort here, and a name.
    if symbol.section == 0 || !unnamed {
        let offset = link.addend;
        return Place::Named { symbol, offset };
    }
    let offset = (symbol.value as i64).wrapping_add(link.addend);
    let section = symbol.section;
    if unit.sections[section].kind == Kind::Toc {
        let slot = unit.links_in(section, offset as u64, 1).first();
        return Place::Slot(slot);
    }
    match unit.covering(section, offset as u64) {
        Some(named) if !named.name.starts_with(".L") => Place::Named {
            offset: offset - named.value as i64,
            symbol: named,
        },
        _ => Place::In { section, offset },
    }
}

/// A string in a section of strings, up to its zero.
pub(crate) fn text(bytes: &[u8], offset: i64) -> &[u8] {
    let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
    let rest = rest.unwrap_or_default();
    rest.split_inclusive(|&byte| byte == 0)
        .next()
        .unwrap_or_default()
}

/// An entry of a section of constants of one size, such as `.rodata.cst16`.
pub(crate) fn entry<'d>(section: &str, bytes: &'d [u8], offset: i64) -> Option<&'d [u8]> {
    let size: usize = section.strip_prefix(".rodata.cst")?.parse().ok()?;
    let at = usize::try_from(offset).ok()?;
    bytes.get(at..at.checked_add(size)?)
}

/// Whether a link leads to the name of a file of Rust's.
fn is_source(unit: &Unit<'_>, link: &Link) -> bool {
    let Place::In { section, offset } = place(unit, link) else {
        return false;
    };
    let section = &unit.sections[section];
    let name = match section.strings {
        true => text(section.bytes, offset),
        false => section.bytes,
    };
    name.strip_suffix(b"\0").unwrap_or(name).ends_with(b".rs")
}
