//! The hashed table: a page's entry stands in the group that its virtual address says.
//!
//! An effective address is first made a virtual one, by the segment that it is in: each processor has a
//! few segments of its own. All here are of 1 TiB, with pages of 4 KiB. Entries stand in their primary group
//! alone. The hypervisor writes them: what is here are the arguments of its calls. Entries are in the format of
//! ISA 2.07, which the calls take on later processors too, where those in memory have the segment's size elsewhere.

use crate::{Access, PAGE, Page, Rights};

/// Bytes of a segment.
pub const SEGMENT: u64 = 1 << 40;
/// Entries of a group.
pub const GROUP: u64 = 8;
/// Bytes of an entry.
pub const ENTRY_BYTES: u64 = 16;

/// A segment of effective addresses, and the number that makes them virtual.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Segment {
    /// Its first address: a multiple of [`SEGMENT`].
    pub start: u64,
    /// Its virtual number, of at most 38 bits: not zero, and no other segment's that is in use.
    pub number: u64,
}

// The first doubleword of an entry (ISA 2.07 Book III-S, "Page Table Entry"): segments of 1 TiB.
const ONE_TIB: u64 = 1 << 62;
const NUMBER_SHIFT: u32 = 24;
/// The page is larger than 4 KiB.
const LARGE: u64 = 4;
/// The entry stands in the secondary group.
const SECONDARY: u64 = 2;
const VALID: u64 = 1;
/// Bits of a page's number that the group tells, and the entry does not.
const IN_GROUP: u32 = 11;
/// Where the entry has the others.
const ABOVE_SHIFT: u32 = 7;
// The second one.
const READ_ONLY: u64 = 3;
const PROTECTION: u64 = 3;
const NO_EXECUTE: u64 = 4;
const COHERENT: u64 = 0x10;
/// Referenced and changed.
const SEEN: u64 = 0x180;
const ADDRESS: u64 = 0x0fff_ffff_ffff_f000;

/// An entry's two doublewords.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Entry {
    /// The first: which page it is for, and whether it is valid.
    pub virtual_page: u64,
    /// The second: where that is, and what may be done with it.
    pub real_page: u64,
}

impl Segment {
    /// The operands of `slbmte` that give a processor the segment, as entry `index` of those it has, counted
    /// from 0: RS and RB (ISA Book III, "SLB Move To Entry"). Both keys are zero.
    #[must_use]
    pub const fn lookaside(&self, index: u64) -> (u64, u64) {
        const IN_USE: u64 = 1 << 27;
        (
            ONE_TIB | self.number << NUMBER_SHIFT,
            self.start | IN_USE | index,
        )
    }

    /// The operand RB of `slbie`, which takes the segment from a processor (ISA Book III, "SLB Invalidate Entry").
    #[must_use]
    pub const fn forget(&self) -> u64 {
        // The field B is bits 37 and 38, counted from the highest.
        const ONE_TIB: u64 = 1 << 25;
        self.start | ONE_TIB
    }

    /// The number of the page in the segment that an address is in: 28 bits.
    const fn page_number(&self, address: u64) -> u64 {
        (address % SEGMENT) / PAGE
    }

    /// What the segment's number adds to a page's number, to make the hash (ISA Book III, "Primary Hash").
    const fn number_hash(&self) -> u64 {
        self.number ^ self.number << 25
    }

    /// The primary group of the page that `address` is in, as the index of the group's first entry.
    ///
    /// `groups` is how many the table has: a power of two, from 2^11 to 2^39.
    #[must_use]
    pub const fn group(&self, address: u64, groups: u64) -> u64 {
        let hash = self.number_hash() ^ self.page_number(address);
        (hash & (groups - 1)) * GROUP
    }

    /// What the entry of the page that `address` is in says of its virtual address: also what finds it in its
    /// group. It is not marked valid.
    #[must_use]
    pub const fn virtual_page(&self, address: u64) -> u64 {
        let above = self.page_number(address) >> IN_GROUP << ABOVE_SHIFT;
        ONE_TIB | self.number << NUMBER_SHIFT | above
    }

    /// The entry that maps the page that `address` is in to the memory at the real address `memory`, a
    /// multiple of [`PAGE`].
    #[must_use]
    pub const fn entry(&self, address: u64, memory: u64, rights: Rights) -> Entry {
        Entry {
            virtual_page: self.virtual_page(address) | VALID,
            // No bit of the address can add to the rights.
            real_page: memory & ADDRESS | SEEN | COHERENT | protection(rights),
        }
    }

    /// The page of the entry that was found at `index` of the table, if it is a valid one of this segment, of
    /// 4 KiB and in its primary group.
    #[must_use]
    pub const fn page(&self, entry: Entry, index: u64) -> Option<Page> {
        let Entry {
            virtual_page,
            real_page,
        } = entry;
        let is_of_segment = virtual_page >> NUMBER_SHIFT == ONE_TIB >> NUMBER_SHIFT | self.number;
        if virtual_page & (LARGE | SECONDARY | VALID) != VALID || !is_of_segment {
            return None;
        }
        // The bits between the group's and the segment's number.
        let above = (virtual_page % (1 << NUMBER_SHIFT)) >> ABOVE_SHIFT << IN_GROUP;
        let hash = index / GROUP;
        let page = above | ((hash ^ self.number_hash()) % (1 << IN_GROUP));
        let is_read_only = real_page & PROTECTION == READ_ONLY;
        Some(Page {
            address: self.start | (page * PAGE),
            size: PAGE,
            memory: real_page & ADDRESS,
            access: Access {
                read: true,
                write: !is_read_only,
                execute: real_page & NO_EXECUTE == 0,
            },
        })
    }
}

/// The bits of an entry's second doubleword that say what may be done with the page: with the keys
/// of its segment at zero, 0 is for reading and writing.
#[must_use]
pub const fn protection(rights: Rights) -> u64 {
    match rights {
        Rights::Code => READ_ONLY,
        Rights::Constants => READ_ONLY | NO_EXECUTE,
        Rights::Data => NO_EXECUTE,
    }
}
