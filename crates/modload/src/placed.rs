//! What there is to know about a module in its place.

use crate::place::Placing;
use crate::stub::STUB_BYTES;
use crate::symbols::Symbols;
use crate::{LoadError, memory, names};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;
use object::LittleEndian as LE;
use object::elf::SectionHeader64;
use symtab::Symbol;

/// A module in its place. It refers to the file's names, not to the memory.
pub struct Placed<'a> {
    /// What r2 holds while the module runs, unless its code has no TOC: `.TOC.`.
    pub toc: u64,
    /// The addresses of what is executed: sections and stubs.
    pub text: Range<u64>,
    /// The end of what is not written any more; the rest begins on a page of its own.
    pub constants_end: u64,
    headers: &'a [SectionHeader64<LE>],
    symbols: Symbols<'a>,
    /// The address of each symbol that has one.
    values: Vec<u64>,
    sections: Vec<(&'a str, Range<u64>)>,
    first_stub: u64,
    /// The symbol of each stub.
    stubs: Vec<u32>,
    /// How many relocations of each type.
    kinds: Vec<u32>,
    /// The addresses of calls of [`PROFILE`](crate::PROFILE).
    profiled: Vec<u64>,
}

impl<'a> Placed<'a> {
    pub(crate) fn new(placing: Placing<'_, 'a>) -> Result<Self, LoadError<'a>> {
        let (module, base) = (placing.module, placing.base);
        let mut sections = memory::list(module.layout.loaded.len())?;
        sections.extend(module.layout.loaded.iter().map(|section| {
            let start = base + section.offset;
            (section.name, start..start + section.size)
        }));
        let mut profiled = memory::list(module.references.profiled.len())?;
        profiled.extend(module.references.profiled.iter().filter_map(|place| {
            let (section, offset) = *place;
            Some(base + module.layout.offset(section)? + offset)
        }));
        Ok(Self {
            profiled,
            toc: placing.toc,
            text: base..base + module.layout.text_end,
            constants_end: base + module.layout.constants_end,
            headers: module.sections.headers,
            symbols: module.symbols,
            values: placing.values,
            sections,
            first_stub: base + module.layout.stubs,
            stubs: memory::copied(&module.references.stubs)?,
            kinds: memory::copied(&module.references.kinds)?,
        })
    }

    /// The symbol of this name that the module defines. Of several, a global one
    /// is preferred, then the first in the file. Looks at every symbol.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<Symbol<'a>> {
        let mut best: Option<Symbol<'a>> = None;
        for index in 1..self.symbols.len() {
            if self.symbols.is_called(index, name)
                && let Some(symbol) = self.named(index)
            {
                if symbol.global {
                    return Some(symbol);
                }
                best = best.or(Some(symbol));
            }
        }
        best
    }

    /// All symbols that the module defines, in the order of the file. Sections
    /// and what has no name are left out.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol<'a>> + '_ {
        (1..self.symbols.len()).filter_map(|index| self.named(index))
    }

    /// The addresses of the section of this name; of several, the first in
    /// memory.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<Range<u64>> {
        self.sections()
            .find(|(other, _)| *other == name)
            .map(|(_, range)| range)
    }

    /// The names and addresses of all loaded sections, as they are in memory.
    pub fn sections(&self) -> impl Iterator<Item = (&'a str, Range<u64>)> + '_ {
        self.sections.iter().cloned()
    }

    /// For each stub, the name of the function that it goes to, and the stub's
    /// address.
    pub fn stubs(&self) -> impl Iterator<Item = (&'a str, u64)> + '_ {
        let addresses = (0..).map(|number: u64| self.first_stub + number * STUB_BYTES);
        self.stubs
            .iter()
            .map(|symbol| self.symbols.name(*symbol as usize))
            .zip(addresses)
    }

    /// Where the module's code called [`PROFILE`](crate::PROFILE): now a `nop`.
    #[must_use]
    pub fn profiled(&self) -> &[u64] {
        &self.profiled
    }

    /// How many relocations of each type there were, by the ABI's names. Types
    /// that did not occur are left out.
    pub fn relocations(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        (0..)
            .zip(&self.kinds)
            .filter(|(_, count)| **count > 0)
            .filter_map(|(kind, count)| Some((names::name(kind)?, *count)))
    }

    fn named(&self, index: usize) -> Option<Symbol<'a>> {
        let address = *self.values.get(index)?;
        self.symbols.named(index, self.headers, address)
    }
}

impl fmt::Debug for Placed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Placed with its text at {:#x?}", self.text)
    }
}
