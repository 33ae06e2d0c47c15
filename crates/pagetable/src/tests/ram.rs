use super::*;
use crate::radix::{Memory, ROOT_BYTES, TABLE_BYTES, walk};
use std::{cell::Cell, vec, vec::Vec};

/// The first address that no tree translates.
pub const END: u64 = 1 << 52;

/// Memory for tables, handed out from its start. What was not handed out can't be touched: it panics.
pub struct Ram {
    words: Vec<Cell<u64>>,
    used: Cell<u64>,
}

impl Ram {
    /// Not at zero, so that an address that was forgotten is noticed.
    const START: u64 = 1 << 20;

    pub fn new(tables: u64) -> Self {
        let bytes = 3 * ROOT_BYTES + tables * TABLE_BYTES;
        Self::of(bytes)
    }

    pub fn of(bytes: u64) -> Self {
        Self {
            words: vec![Cell::new(0); bytes as usize / 8],
            used: Cell::new(0),
        }
    }

    fn word(&self, address: u64) -> &Cell<u64> {
        assert_eq!(address % 8, 0);
        let offset = address - Self::START;
        assert!(offset < self.used.get(), "{address:#x} is in no table");
        &self.words[offset as usize / 8]
    }

    pub fn contents(&self) -> Vec<u64> {
        self.words.iter().map(Cell::get).collect()
    }

    /// A tree's pages, in the order of the walk.
    pub fn pages(&self, root: u64) -> Vec<Page> {
        let mut pages = Vec::new();
        walk(self, root, &mut |page| pages.push(page));
        pages
    }
}

impl Memory for Ram {
    fn load(&self, address: u64) -> u64 {
        self.word(address).get()
    }

    fn store(&self, address: u64, entry: u64) {
        self.word(address).set(entry);
    }

    fn allocate(&self, bytes: u64) -> Option<u64> {
        let start = self.used.get().next_multiple_of(bytes);
        let end = start + bytes;
        (end <= self.words.len() as u64 * 8).then(|| {
            self.used.set(end);
            Self::START + start
        })
    }
}

/// The bits from `first` to `last` of a doubleword, which the ISA counts from the highest.
fn bits(doubleword: u64, first: u32, last: u32) -> u64 {
    doubleword << first >> (63 - last + first)
}

/// What a processor finds (ISA 3.1 Book III, "Radix Tree Translation"): the real address, and the rest
/// of the leaf. The sizes of tables are read from the entries, so that nothing is shared with the code under test.
pub fn translate(ram: &Ram, process_entry: u64, address: u64) -> Option<(u64, u64)> {
    let size = (bits(process_entry, 1, 2) << 3 | bits(process_entry, 56, 58)) + 31;
    assert_eq!(size, 52);
    let mut rest = size as u32;
    let mut table = bits(process_entry, 4, 55) << 8;
    let mut index = bits(process_entry, 59, 63) as u32;
    if address >> size != 0 {
        return None;
    }
    loop {
        assert_eq!(table % (8 << index), 0, "a table is aligned to its size");
        rest -= index;
        let entry = ram.load(table + 8 * (address >> rest & ((1 << index) - 1)));
        if bits(entry, 0, 0) == 0 {
            return None;
        }
        if bits(entry, 1, 1) == 1 {
            let within = (1 << rest) - 1;
            let memory = bits(entry, 7, 51) << 12;
            assert_eq!(memory & within, 0);
            return Some((memory | address & within, bits(entry, 52, 63)));
        }
        table = bits(entry, 4, 55) << 8;
        index = bits(entry, 59, 63) as u32;
    }
}

/// What the last twelve bits of a leaf must be: referenced and changed, privileged, and what is allowed.
pub fn low_bits(rights: Rights) -> u64 {
    match rights {
        Rights::Code => 0x18d,
        Rights::Constants => 0x18c,
        Rights::Data => 0x18e,
    }
}

pub fn small(address: u64, rights: Rights) -> Page {
    Page {
        address,
        size: PAGE,
        memory: address,
        access: rights.into(),
    }
}
