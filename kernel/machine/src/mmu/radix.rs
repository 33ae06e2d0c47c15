//! The radix tree in memory, and the processor's part in it.

use super::{MmuError, check, random};
use crate::{arch, mm};
use core::sync::atomic::{AtomicU64, Ordering};
use memmap::Range;
use pagetable::{
    PAGE, Page, Rights,
    radix::{self, Change, Memory, Opened, Sizes},
};
use ppc64::hcall;

/// The number of the tree that the kernel runs by.
pub const KERNEL: u64 = 0;
/// The number of the one that also has the page that is being written.
const WRITER: u64 = 1;

/// The process table: room for one page of entries, of which two are in use.
const PROCESS_BYTES: u64 = PAGE;

/// Where tables lie: a piece of memory that is handed out from its start.
struct Tables {
    next: AtomicU64,
    end: u64,
}

impl Tables {
    fn entry(address: u64) -> *mut u64 {
        address as *mut u64
    }
}

impl Memory for Tables {
    fn load(&self, address: u64) -> u64 {
        // SAFETY: an entry of a table that `allocate` has made, aligned.
        u64::from_be(unsafe { Self::entry(address).read_volatile() })
    }

    fn store(&self, address: u64, entry: u64) {
        // SAFETY: as above. Processors read whole entries.
        unsafe { Self::entry(address).write_volatile(entry.to_be()) }
    }

    fn allocate(&self, bytes: u64) -> Option<u64> {
        let start = self.next.load(Ordering::Relaxed).next_multiple_of(bytes);
        let end = start.checked_add(bytes).filter(|end| *end <= self.end)?;
        self.next.store(end, Ordering::Relaxed);
        // SAFETY: inside the piece, which nothing else uses, and handed out once: by the one
        // CPU that runs then.
        unsafe { (start as *mut u8).write_bytes(0, bytes as usize) };
        Some(start)
    }
}

/// Bytes of tables for the areas and for those tables themselves, which lie behind the last one. No more
/// than a few tables too many.
pub fn bytes_for(areas: &[mm::Area]) -> u64 {
    // Two trees' roots, the table below the first one, those of the alias, and the process table.
    let fixed = 2 * radix::ROOT_BYTES + 4 * radix::TABLE_BYTES + PROCESS_BYTES;
    // What the next area begins in has its tables already, if areas follow each other.
    let (mut middle, mut small) = (
        Steps::new(radix::MIDDLE_STEP),
        Steps::new(radix::LARGE_PAGE),
    );
    for area in areas {
        let Range { start, end } = area.range;
        middle.add(start, end);
        match area.sizes {
            Sizes::Small => small.add(start, end),
            Sizes::Any => {
                small.add(start, start + 1);
                small.add(end - 1, end);
            }
        }
    }
    // The tables' own pages.
    const OWN: u64 = 2;
    fixed + (middle.count + small.count + OWN) * radix::TABLE_BYTES
}

/// Counts the steps of addresses that ranges are in.
struct Steps {
    step: u64,
    count: u64,
    /// The last one that was counted.
    last: Option<u64>,
}

impl Steps {
    const fn new(step: u64) -> Self {
        Self {
            step,
            count: 0,
            last: None,
        }
    }

    fn add(&mut self, start: u64, end: u64) {
        let (first, last) = (start / self.step, (end - 1) / self.step);
        self.count += last - first + u64::from(self.last != Some(first));
        self.last = Some(last);
    }
}

pub struct Radix {
    tables: Tables,
    root: u64,
    alias: radix::Alias,
}

impl Radix {
    pub fn start() -> Result<Self, MmuError> {
        let Range { start, end } = mm::tables();
        let tables = Tables {
            next: AtomicU64::new(start),
            end,
        };
        // Both at once: nothing is lost to their alignment.
        let (root, second) = (radix::plant(&tables)?, radix::plant(&tables)?);
        for area in mm::areas() {
            let range = (area.range.start, area.range.end);
            radix::map(&tables, root, range, area.rights, area.sizes)?;
        }
        let alias = radix::Alias::new(&tables, second, root)?;
        let process = tables.allocate(PROCESS_BYTES);
        let process = process.ok_or(radix::RadixError::OutOfTables)?;
        for (number, root) in [(KERNEL, root), (WRITER, alias.root())] {
            tables.store(process + 16 * number, radix::process_entry(root));
        }
        let size = u64::from(PROCESS_BYTES.ilog2()) - 12;
        let arguments = [hcall::REGISTER_RADIX, process, 0, size];
        // SAFETY: the table is as the hypervisor wants it, and stays.
        let (status, _) = unsafe { arch::hypervisor_call(hcall::H_REGISTER_PROC_TBL, arguments) };
        check("H_REGISTER_PROC_TBL", status)?;
        Ok(Self {
            tables,
            root,
            alias,
        })
    }

    /// Writes the entries alone.
    pub fn write(&self, range: Range, rights: Option<Rights>) -> Result<Change, MmuError> {
        let mut change = Change::More;
        for page in (range.start..range.end).step_by(PAGE as usize) {
            if radix::set(&self.tables, self.root, page, rights)? == Change::Less {
                change = Change::Less;
            }
        }
        Ok(change)
    }

    pub fn set(&self, range: Range, rights: Option<Rights>) -> Result<(), MmuError> {
        match self.write(range, rights)? {
            Change::More => arch::see_new_pages(),
            Change::Less => {
                arch::forget_pages_everywhere(range.start, range.end, &[KERNEL, WRITER])
            }
        }
        Ok(())
    }

    pub fn page_at(&self, address: u64) -> Option<Page> {
        radix::page_at(&self.tables, self.root, address)
    }

    pub fn walk(&self, mut visit: &mut dyn FnMut(Page)) {
        radix::walk(&self.tables, self.root, &mut visit);
        // The second tree shares all of the first one's, but for the alias.
        radix::walk(&self.tables, self.alias.root(), &mut |page| {
            if page.address >= radix::ROOT_STEP {
                visit(page);
            }
        });
    }

    pub fn open(&self, page: u64) -> u64 {
        let opened = self.alias.open(&self.tables, page, random());
        // The entries are written before the tree is used: it waits for them.
        arch::see_new_pages();
        arch::use_tree(WRITER);
        opened.address
    }

    pub fn close(&self, address: u64) {
        self.alias.close(&self.tables, Opened { address });
        arch::forget_page_here(address, WRITER);
        arch::use_tree(KERNEL);
    }
}
