//! The radix tree: four levels, of which an effective address of 52 bits indexes one after the other.
//!
//! An entry is a doubleword in big endian. It is absent, leads to a table of the next
//! level, or is a leaf and so a page. A level's table is aligned to its size. The tree's root
//! stands in an entry of the process table, by the number in the register PID.

use crate::{Access, PAGE, Page, Rights};
use core::fmt;

/// Bytes of a page that is a leaf of the third level.
pub const LARGE_PAGE: u64 = 1 << 21;
/// Bytes of the root.
pub const ROOT_BYTES: u64 = 8 << LEVELS[0].bits;
/// Bytes of any other table.
pub const TABLE_BYTES: u64 = 8 << LEVELS[1].bits;
/// How many bytes of addresses an entry of the root stands for.
pub const ROOT_STEP: u64 = 1 << LEVELS[0].shift;
/// How many bytes of addresses an entry of the table below the root stands for.
pub const MIDDLE_STEP: u64 = 1 << LEVELS[1].shift;
/// How many entries the root has.
pub const ROOT_ENTRIES: u64 = 1 << LEVELS[0].bits;
/// The end of the addresses that a tree translates.
const END: u64 = ROOT_ENTRIES * ROOT_STEP;

/// A level: which bits of an address index its tables.
#[derive(Clone, Copy)]
struct Level {
    bits: u32,
    shift: u32,
}

/// The only shape that all processors take, with pages of 4 KiB and 2 MiB
/// (`ibm,processor-radix-AP-encodings`; POWER9 user manual, 4.10.5).
const LEVELS: [Level; 4] = [
    Level {
        bits: 13,
        shift: 39,
    },
    Level { bits: 9, shift: 30 },
    Level { bits: 9, shift: 21 },
    Level { bits: 9, shift: 12 },
];
/// The level whose leaves are [`LARGE_PAGE`]s.
const LARGE_LEVEL: usize = 2;

impl Level {
    fn slot(self, table: u64, address: u64) -> u64 {
        table + 8 * (address >> self.shift & ((1 << self.bits) - 1))
    }
}

// An entry (ISA Book III, "Radix Tree Page Directory Entry" and "Radix Tree Page Table Entry").
const VALID: u64 = 1 << 63;
const LEAF: u64 = 1 << 62;
const ADDRESS: u64 = 0x01ff_ffff_ffff_f000;
const TABLE_ADDRESS: u64 = 0x0fff_ffff_ffff_ff00;
/// Referenced and changed. Set from the start: QEMU faults where they are not, and so may a processor.
const SEEN: u64 = 0x180;
const PRIVILEGED: u64 = 8;
const READ: u64 = 4;
const WRITE: u64 = 2;
const EXECUTE: u64 = 1;

/// The first doubleword of a process table's entry, for the tree whose root is at the real address
/// `root` (ISA Book III, "Process Table"). The second one is zero.
#[must_use]
pub const fn process_entry(root: u64) -> u64 {
    // The field RTS, in two parts: addresses of 31 + 21 bits.
    const RTS: u64 = 2 << 61 | 5 << 5;
    RTS | root | LEVELS[0].bits as u64
}

const fn leaf(memory: u64, rights: Option<Rights>) -> u64 {
    let rights = match rights {
        None => return 0,
        Some(Rights::Code) => READ | EXECUTE,
        Some(Rights::Constants) => READ,
        Some(Rights::Data) => READ | WRITE,
    };
    // No bit of the address can add to the rights.
    VALID | LEAF | memory & ADDRESS | SEEN | PRIVILEGED | rights
}

const fn inner(table: u64, level: usize) -> u64 {
    VALID | table | LEVELS[level].bits as u64
}

/// The memory that tables lie in.
pub trait Memory {
    /// The entry at a real address.
    fn load(&self, address: u64) -> u64;
    /// Writes it. The processor may look at it at any time.
    fn store(&self, address: u64, entry: u64);
    /// Room for so many bytes, aligned to them and zero.
    fn allocate(&self, bytes: u64) -> Option<u64>;
}

/// Why pages are not as asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RadixError {
    /// The range does not consist of small pages, or ends before it starts.
    Unaligned {
        /// The first address.
        start: u64,
        /// The first one behind it.
        end: u64,
    },
    /// The range reaches beyond the addresses that a tree translates.
    TooHigh {
        /// The first address behind the range.
        end: u64,
    },
    /// There is no memory for another table.
    OutOfTables,
    /// Where a small page was asked for is a larger one; or where a large one was asked for is one already, or
    /// a table of small pages.
    Occupied {
        /// At this address.
        address: u64,
    },
    /// There is no table of small pages, nor a larger page.
    NoTable {
        /// At this address.
        address: u64,
    },
}

impl fmt::Display for RadixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unaligned { start, end } => {
                write!(
                    f,
                    "{start:#x}..{end:#x} does not consist of pages of {PAGE} bytes"
                )
            }
            Self::TooHigh { end } => {
                write!(f, "no tree translates up to {end:#x}, only up to {END:#x}")
            }
            Self::OutOfTables => f.write_str("no memory for another page table"),
            Self::Occupied { address } => {
                write!(
                    f,
                    "a large page or a table of small ones is at {address:#x}"
                )
            }
            Self::NoTable { address } => write!(f, "no table of small pages is at {address:#x}"),
        }
    }
}

fn check(start: u64, end: u64) -> Result<(), RadixError> {
    if start.is_multiple_of(PAGE) && end.is_multiple_of(PAGE) && start <= end {
        Ok(())
    } else {
        Err(RadixError::Unaligned { start, end })
    }
}

/// Makes a tree without pages, and returns the real address of its root.
///
/// # Errors
/// [`RadixError::OutOfTables`]
pub fn plant(memory: &impl Memory) -> Result<u64, RadixError> {
    memory.allocate(ROOT_BYTES).ok_or(RadixError::OutOfTables)
}

/// The table of a level that an address goes through, made if it is not there, with those above it.
fn table_at(
    memory: &impl Memory,
    root: u64,
    address: u64,
    level: usize,
) -> Result<u64, RadixError> {
    let mut table = root;
    for (number, above) in LEVELS.iter().enumerate().take(level) {
        let slot = above.slot(table, address);
        let entry = memory.load(slot);
        table = if entry & VALID == 0 {
            let new = memory
                .allocate(TABLE_BYTES)
                .ok_or(RadixError::OutOfTables)?;
            memory.store(slot, inner(new, number + 1));
            new
        } else if entry & LEAF == 0 {
            entry & TABLE_ADDRESS
        } else {
            return Err(RadixError::Occupied { address });
        };
    }
    Ok(table)
}

/// How large the pages are that [`map`] makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sizes {
    /// [`PAGE`] bytes: each can be [set] later.
    Small,
    /// [`LARGE_PAGE`] bytes wherever a whole one fits, else [`PAGE`] bytes.
    Any,
}

/// Maps the pages from `start` to `end`, which is exclusive, to the memory at the same addresses; with no rights,
/// makes the tables that they need, and no page is there then.
///
/// A small page takes the place of one that was there, of which processors are not told: in a tree that is in use,
/// [`set`] says whether they must be.
///
/// # Errors
/// [`RadixError::Unaligned`] and [`RadixError::TooHigh`], and nothing has changed; [`RadixError::Occupied`] and
/// [`RadixError::OutOfTables`], and only the pages before the one that could not be mapped are.
pub fn map(
    memory: &impl Memory,
    root: u64,
    (start, end): (u64, u64),
    rights: Option<Rights>,
    sizes: Sizes,
) -> Result<(), RadixError> {
    check(start, end)?;
    if end > END {
        return Err(RadixError::TooHigh { end });
    }
    let mut address = start;
    while address < end {
        let is_large = sizes == Sizes::Any
            && address.is_multiple_of(LARGE_PAGE)
            && end - address >= LARGE_PAGE;
        let (level, size) = if is_large {
            (LARGE_LEVEL, LARGE_PAGE)
        } else {
            (LEVELS.len() - 1, PAGE)
        };
        let table = table_at(memory, root, address, level)?;
        let slot = LEVELS[level].slot(table, address);
        if is_large && memory.load(slot) & VALID != 0 {
            return Err(RadixError::Occupied { address });
        }
        memory.store(slot, leaf(address, rights));
        address += size;
    }
    Ok(())
}

/// What processors may still have of a page whose rights were [set].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// There was a page: a processor may go on using the old entry, and what only that allows, until it
    /// is told to forget it.
    Less,
    /// There was none, and processors keep nothing of an absent page.
    More,
}

/// Sets the rights of one small page, or takes it away. Its table must be there: see [`map`].
///
/// # Errors
/// [`RadixError::Unaligned`], [`RadixError::NoTable`], [`RadixError::Occupied`], and nothing has changed.
pub fn set(
    memory: &impl Memory,
    root: u64,
    address: u64,
    rights: Option<Rights>,
) -> Result<Change, RadixError> {
    check(address, address)?;
    let slot = small_slot(memory, root, address)?;
    let old = memory.load(slot);
    memory.store(slot, leaf(address, rights));
    Ok(if old & VALID == 0 {
        Change::More
    } else {
        Change::Less
    })
}

/// The real address of the entry of the small page that an address is in. The page need not be there.
///
/// # Errors
/// [`RadixError::NoTable`], [`RadixError::Occupied`].
pub fn small_slot(memory: &impl Memory, root: u64, address: u64) -> Result<u64, RadixError> {
    if address >= END {
        return Err(RadixError::NoTable { address });
    }
    let [above @ .., last] = LEVELS;
    let mut table = root;
    for level in above {
        let entry = memory.load(level.slot(table, address));
        if entry & VALID == 0 {
            return Err(RadixError::NoTable { address });
        }
        if entry & LEAF != 0 {
            return Err(RadixError::Occupied { address });
        }
        table = entry & TABLE_ADDRESS;
    }
    Ok(last.slot(table, address))
}

/// The page that an address is in, if there is one.
#[must_use]
pub fn page_at(memory: &impl Memory, root: u64, address: u64) -> Option<Page> {
    if address >= END {
        return None;
    }
    let mut table = root;
    for level in LEVELS {
        let entry = memory.load(level.slot(table, address));
        if entry & VALID == 0 {
            return None;
        }
        if entry & LEAF != 0 {
            return Some(page(level, address, entry));
        }
        table = entry & TABLE_ADDRESS;
    }
    None
}

fn page(level: Level, address: u64, entry: u64) -> Page {
    let size = 1 << level.shift;
    Page {
        address: address & !(size - 1),
        size,
        memory: entry & ADDRESS & !(size - 1),
        access: Access {
            read: entry & (READ | WRITE) != 0,
            write: entry & WRITE != 0,
            execute: entry & EXECUTE != 0,
        },
    }
}

/// Shows every page of a tree, in ascending order of addresses.
pub fn walk(memory: &impl Memory, root: u64, visit: &mut impl FnMut(Page)) {
    walk_table(memory, &LEVELS, root, 0, visit);
}

fn walk_table(
    memory: &impl Memory,
    levels: &[Level],
    table: u64,
    start: u64,
    visit: &mut impl FnMut(Page),
) {
    let Some((&level, below)) = levels.split_first() else {
        return;
    };
    for index in 0..1 << level.bits {
        let address = start + (index << level.shift);
        let entry = memory.load(table + 8 * index);
        if entry & VALID == 0 {
            continue;
        }
        if entry & LEAF != 0 {
            visit(page(level, address, entry));
        } else {
            walk_table(memory, below, entry & TABLE_ADDRESS, address, visit);
        }
    }
}

/// Tables for one page at an address of choice, beside what another tree has.
///
/// The root shares the other's first entry, so the same pages are at the same addresses as there;
/// the one page is in an entry of its own. A processor sees it only with this tree's number in PID.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The tables, from the root on.
    tables: [u64; 4],
}

/// A page that is open for writing, until [`Alias::close`].
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// The effective address where it is, in the alias's tree: a multiple of [`PAGE`].
    pub address: u64,
}

impl Alias {
    /// Makes the tables from `own`, another [tree](plant), on. Pages that the tree from `root` on has below [`ROOT_STEP`], now or
    /// later, are in the alias's tree too; those above are not.
    ///
    /// # Errors
    /// [`RadixError::OutOfTables`]
    pub fn new(memory: &impl Memory, own: u64, root: u64) -> Result<Self, RadixError> {
        let allocate = |bytes| memory.allocate(bytes).ok_or(RadixError::OutOfTables);
        // What the first entry leads to is shared: it must be there before it is copied.
        table_at(memory, root, 0, 1)?;
        memory.store(own, memory.load(root));
        let [a, b, c] = [
            allocate(TABLE_BYTES)?,
            allocate(TABLE_BYTES)?,
            allocate(TABLE_BYTES)?,
        ];
        memory.store(a, inner(b, 2));
        memory.store(b, inner(c, 3));
        Ok(Self {
            tables: [own, a, b, c],
        })
    }

    /// The real address of its root.
    #[must_use]
    pub const fn root(&self) -> u64 {
        self.tables[0]
    }

    /// Lets the page of memory at the real address `page`, a multiple of [`PAGE`], be read and written at an address
    /// that `random` chooses: any number does. One page is open at a time.
    pub fn open(&self, memory: &impl Memory, page: u64, random: u64) -> Opened {
        let [root, a, .., c] = self.tables;
        // Not in the entry that both trees share. The tables in between have their first entry alone.
        let entry = (random % ROOT_ENTRIES).max(1);
        let small = (random / ROOT_ENTRIES) & ((1 << LEVELS[3].bits) - 1);
        // From the leaf up: a processor that walks the tree meanwhile finds the whole way or none.
        memory.store(c | (8 * small), leaf(page, Some(Rights::Data)));
        memory.store(root | (8 * entry), inner(a, 1));
        Opened {
            address: (entry * ROOT_STEP) | (small * PAGE),
        }
    }

    /// Takes away the page that [`Self::open`] has returned. The processor that has used it must be told to
    /// forget it.
    pub fn close(&self, memory: &impl Memory, opened: Opened) {
        let [root, .., c] = self.tables;
        memory.store(LEVELS[0].slot(root, opened.address), 0);
        memory.store(LEVELS[3].slot(c, opened.address), 0);
    }
}
