//! The hashed table, which is the hypervisor's: pages come and go by its calls (PAPR 14.5.4.1).

use super::{MmuError, check, random};
use crate::{arch, mm};
use memmap::Range;
use pagetable::{
    PAGE, Page, Rights,
    hash::{ENTRY_BYTES, Entry, GROUP, SEGMENT, Segment, protection},
};
use ppc64::{hcall, vector};

/// What the kernel runs in: addresses below 1 TiB.
const KERNEL: Segment = Segment {
    start: 0,
    number: 1,
};
/// Where interrupts arrive.
const INTERRUPTS: Segment = Segment {
    start: vector::TRANSLATED,
    number: 2,
};
/// The number of the segment that a page is written in.
const WRITER: u64 = 3;
/// How many segments can be the one that a page is written in: those above the kernel's, of 52 bits.
const WRITERS: u64 = (1 << 12) - 1;
/// Its place among the processor's segments.
const WRITER_INDEX: u64 = 2;

pub struct Hash {
    groups: u64,
}

/// Gives this CPU its segments, and no others.
pub fn use_segments() {
    arch::forget_segments();
    for (index, segment) in [KERNEL, INTERRUPTS].iter().enumerate() {
        arch::use_segment(segment.lookaside(index as u64));
    }
}

impl Hash {
    pub fn start(bits: u32) -> Result<Self, MmuError> {
        let hash = Self {
            groups: (1 << bits) / ENTRY_BYTES / GROUP,
        };
        for area in mm::areas() {
            let Some(rights) = area.rights else { continue };
            for page in (area.range.start..area.range.end).step_by(PAGE as usize) {
                if hash.find(page).is_none() {
                    hash.enter(KERNEL, page, page, rights)?;
                }
            }
        }
        for page in
            (mm::VECTORS_TRANSLATED.start..mm::VECTORS_TRANSLATED.end).step_by(PAGE as usize)
        {
            hash.enter(INTERRUPTS, INTERRUPTS.start + page, page, Rights::Code)?;
        }
        Ok(hash)
    }

    fn enter(
        &self,
        segment: Segment,
        address: u64,
        memory: u64,
        rights: Rights,
    ) -> Result<u64, MmuError> {
        let entry = segment.entry(address, memory, rights);
        let group = segment.group(address, self.groups);
        let arguments = [0, group, entry.virtual_page, entry.real_page];
        // SAFETY: the page is the kernel's, and it has no entry yet.
        let (status, [index, ..]) = unsafe { arch::hypervisor_call(hcall::H_ENTER, arguments) };
        check("H_ENTER", status).map(|()| index)
    }

    /// The entry at an index.
    fn read(index: u64) -> Entry {
        // SAFETY: reads.
        let (_, [virtual_page, real_page, _]) =
            unsafe { arch::hypervisor_call(hcall::H_READ, [0, index, 0, 0]) };
        Entry {
            virtual_page,
            real_page,
        }
    }

    /// The index of a page's entry, and the page.
    fn find(&self, address: u64) -> Option<(u64, Page)> {
        let group = KERNEL.group(address, self.groups);
        (group..group + GROUP).find_map(|index| {
            let page = KERNEL.page(Self::read(index), index)?;
            (page.address == address).then_some((index, page))
        })
    }

    pub fn set(&self, range: Range, rights: Option<Rights>) -> Result<(), MmuError> {
        for page in (range.start..range.end).step_by(PAGE as usize) {
            match (self.find(page), rights) {
                (None, None) => {}
                (None, Some(rights)) => {
                    self.enter(KERNEL, page, page, rights)?;
                }
                (Some((index, _)), None) => remove(index)?,
                (Some((index, _)), Some(rights)) => {
                    let arguments = [protection(rights), index, 0, 0];
                    // SAFETY: the page is the kernel's, and its rights are for it to say.
                    let (status, _) = unsafe { arch::hypervisor_call(hcall::H_PROTECT, arguments) };
                    check("H_PROTECT", status)?;
                }
            }
        }
        Ok(())
    }

    pub fn page_at(&self, address: u64) -> Option<Page> {
        self.find(address & !(PAGE - 1)).map(|(_, page)| page)
    }

    pub fn walk(&self, visit: &mut dyn FnMut(Page)) {
        for index in 0..self.groups * GROUP {
            let entry = Self::read(index);
            let mut segments = [KERNEL, INTERRUPTS].into_iter();
            if let Some(page) = segments.find_map(|segment| segment.page(entry, index)) {
                visit(page);
            }
        }
    }

    #[inline(never)] // or its registers are saved for the tree's sake, too
    pub fn open(&self, page: u64) -> (u64, u64) {
        let random = random();
        let segment = writer_at((random % WRITERS + 1) * SEGMENT);
        let address = segment.start + (random >> 12) % SEGMENT / PAGE * PAGE;
        arch::use_segment(segment.lookaside(WRITER_INDEX));
        let slot = self
            .enter(segment, address, page, Rights::Data)
            .expect("a group has room for the page that is written");
        (address, slot)
    }

    #[inline(never)] // as above
    pub fn close(&self, address: u64, slot: u64) {
        remove(slot).expect("the page that was written has an entry");
        arch::forget_segment(writer_at(address & !(SEGMENT - 1)).forget());
    }
}

const fn writer_at(start: u64) -> Segment {
    Segment {
        start,
        number: WRITER,
    }
}

/// Removes an entry; no CPU uses it any more then.
fn remove(index: u64) -> Result<(), MmuError> {
    // SAFETY: the page is the kernel's, and nothing needs it.
    let (status, _) = unsafe { arch::hypervisor_call(hcall::H_REMOVE, [0, index, 0, 0]) };
    check("H_REMOVE", status)
}
