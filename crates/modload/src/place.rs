//! Filling the memory.

use crate::apply::Target;
use crate::layout::{GOT_ENTRY, TOC_BIAS};
use crate::placed::Placed;
use crate::references::Group;
use crate::stub::{STUB_BYTES, stub};
use crate::symbols::Origin;
use crate::{LoadError, Module, memory};
use alloc::vec::Vec;

/// A module at an address.
pub(crate) struct Placing<'m, 'a> {
    pub(crate) module: &'m Module<'a>,
    pub(crate) base: u64,
    /// What `.TOC.` stands for.
    pub(crate) toc: u64,
    /// The address of each symbol that has one.
    pub(crate) values: Vec<u64>,
}

impl<'a> Module<'a> {
    /// Makes `image` what must be in memory from address `base` on. It needn't be
    /// there: nothing is executed, and addresses are only computed.
    ///
    /// `resolve` gives the address of a symbol that the module does not define,
    /// and is asked once for each of [`Self::undefined`]. For a function, that is
    /// the global entry point. A weak symbol that it does not know is 0, unless
    /// it is called.
    ///
    /// # Errors
    /// The first thing that does not work out. `image` is then of no use.
    pub fn place(
        &self,
        base: u64,
        image: &mut [u8],
        resolve: impl FnMut(&str) -> Option<u64>,
    ) -> Result<Placed<'a>, LoadError<'a>> {
        let toc = base.wrapping_add(self.layout.toc + TOC_BIAS);
        self.place_at(base, image, toc, resolve)
    }

    /// The same, and `.TOC.` is the address `toc` instead of the module's own: so
    /// r2 needn't change for the module's code, nor be changed back. What is called
    /// from elsewhere still sets r2, to this.
    ///
    /// # Errors
    /// As for [`Self::place`]; and if a part of the module is not within 2 GiB of
    /// `toc`, which is as far as the medium code model reaches (ELFv2 ABI 3.6.3).
    /// The small one's 16 bits overflow sooner.
    pub fn place_with_toc(
        &self,
        base: u64,
        image: &mut [u8],
        toc: u64,
        resolve: impl FnMut(&str) -> Option<u64>,
    ) -> Result<Placed<'a>, LoadError<'a>> {
        let size = self.layout.size;
        let last = base.wrapping_add(size.saturating_sub(1));
        // What the sum of `#ha` and `#lo` reaches, from there to here and back.
        let reaches = |address: u64| {
            let distance = address.wrapping_sub(toc).cast_signed();
            distance.unsigned_abs() < 0x7fff_8000
        };
        if !reaches(base) || !reaches(last) {
            return Err(LoadError::TocOutOfReach { toc, base, size });
        }
        self.place_at(base, image, toc, resolve)
    }

    fn place_at(
        &self,
        base: u64,
        image: &mut [u8],
        toc: u64,
        resolve: impl FnMut(&str) -> Option<u64>,
    ) -> Result<Placed<'a>, LoadError<'a>> {
        let (size, align) = (self.layout.size, self.layout.align);
        if image.len() != self.size() {
            return Err(LoadError::Image {
                found: image.len(),
                expected: self.size(),
            });
        }
        if !base.is_multiple_of(align) || base.checked_add(size).is_none() {
            return Err(LoadError::Base { base, align, size });
        }
        let mut placing = Placing {
            module: self,
            base,
            toc,
            values: memory::list(self.symbols.len())?,
        };
        placing.find_symbols(resolve)?;
        self.copy_sections(image);
        placing.write_got(image);
        placing.write_stubs(image);
        for group in &self.references.groups {
            placing.relocate(image, group)?;
        }
        Placed::new(placing)
    }

    /// Copies what the file has, and clears the rest.
    fn copy_sections(&self, image: &mut [u8]) {
        // Up to here the image is done.
        let mut done = 0;
        for section in &self.layout.loaded {
            let start = section.offset as usize;
            let end = start + section.bytes.len();
            if let Some(gap) = image.get_mut(done..start) {
                gap.fill(0);
            }
            if let Some(place) = image.get_mut(start..end) {
                place.copy_from_slice(section.bytes);
            }
            done = end;
        }
        if let Some(rest) = image.get_mut(done..) {
            rest.fill(0);
        }
    }
}

impl<'a> Placing<'_, 'a> {
    /// The address of a stub.
    pub(crate) fn stub(&self, number: u32) -> u64 {
        self.base + self.module.layout.stubs + u64::from(number) * STUB_BYTES
    }

    /// The address of the entry of the GOT for a symbol and an addend.
    pub(crate) fn got_entry(&self, symbol: u32, addend: i64) -> Option<u64> {
        let number = (self.module.references.got).binary_search(&(symbol, addend));
        Some(self.base + self.module.layout.toc + number.ok()? as u64 * GOT_ENTRY)
    }

    pub(crate) fn value(&self, symbol: u32) -> u64 {
        self.values.get(symbol as usize).copied().unwrap_or(0)
    }

    fn find_symbols(
        &mut self,
        mut resolve: impl FnMut(&str) -> Option<u64>,
    ) -> Result<(), LoadError<'a>> {
        let Module {
            symbols,
            references,
            layout,
            ..
        } = self.module;
        for index in 0..symbols.len() {
            let value = match symbols.origin(index) {
                Origin::Absolute(value) => value,
                Origin::Toc => self.toc,
                Origin::Section {
                    index: section,
                    value,
                } => match layout.offset(section) {
                    Some(offset) => self.base + offset + value,
                    None => 0,
                },
                Origin::Outside { .. } if !references.is_used(index) => 0,
                Origin::Outside { weak } => {
                    let name = symbols.name(index);
                    match resolve(name) {
                        Some(address) => address,
                        None if weak && references.stub_of(index).is_none() => 0,
                        None => return Err(LoadError::Unresolved { name }),
                    }
                }
            };
            self.values.push(value);
        }
        Ok(())
    }

    fn write_got(&self, image: &mut [u8]) {
        let entries = image.get_mut(self.module.layout.toc as usize..);
        let (entries, _) = entries.unwrap_or_default().as_chunks_mut();
        for (entry, (symbol, addend)) in entries.iter_mut().zip(&self.module.references.got) {
            let value = self.value(*symbol).wrapping_add_signed(*addend);
            *entry = value.to_le_bytes();
        }
    }

    fn write_stubs(&self, image: &mut [u8]) {
        let words = image.get_mut(self.module.layout.stubs as usize..);
        let (words, _) = words.unwrap_or_default().as_chunks_mut();
        let contents =
            (self.module.references.stubs.iter()).flat_map(|symbol| stub(self.value(*symbol)));
        for (word, content) in words.iter_mut().zip(contents) {
            *word = content.to_le_bytes();
        }
    }

    fn relocate(&self, image: &mut [u8], group: &Group<'a>) -> Result<(), LoadError<'a>> {
        let module = self.module;
        let Some(start) = module.layout.offset(group.target) else {
            return Ok(());
        };
        let target = Target {
            name: module.sections.name(group.target),
            start,
            size: module.sections.size(group.target),
        };
        for entry in group.entries {
            self.apply(image, &target, entry.into())?;
        }
        Ok(())
    }
}
