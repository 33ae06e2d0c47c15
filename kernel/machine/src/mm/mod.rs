//! Memory: what there is, what uses it, and the heap.

pub mod code;
mod heap;
mod outside;
pub mod stacks;

pub use heap::{Usage, usage};

use crate::{
    mmu::{self, Kind, PAGE, Rights},
    platform::{Platform, RANGES},
};
use arrayvec::ArrayVec;
use core::fmt;
use memmap::{Map, Range};
use pagetable::radix::{ROOT_BYTES, Sizes};
use ppc64::vector;

/// What the memory below the kernel's image is used for: interrupt vectors, of both copies.
const VECTORS: Range = Range {
    start: 0,
    end: vector::SCV_REAL + vector::SCV_END - vector::SCV_FIRST,
};

/// The copy for interrupts that arrive with translation on.
pub const VECTORS_TRANSLATED: Range = Range {
    start: vector::SCV_FIRST,
    end: vector::OFFSET + vector::END,
};

/// Smallest heap that the kernel starts with, in bytes.
const LEAST_HEAP: u64 = 16 << 20;

/// Of memory, the heap has one part in so many; the stacks have the rest.
const HEAP_PART: u64 = 6;
/// The most that the heap and the stacks have, in bytes: a kernel as small as this needs no more, and
/// what it does not need has no pages.
const MOST_HEAP: u64 = 256 << 20;
/// See [`MOST_HEAP`].
const MOST_STACKS: u64 = 768 << 20;

unsafe extern "C" {
    static _start: u8;
    static __text_end: u8;
    static __constants_start: u8;
    static __constants_end: u8;
    static __kernel_end: u8;
}

/// A piece of memory that is used for one thing.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// For what.
    pub name: &'static str,
    /// Where it is: whole pages.
    pub range: Range,
    /// What its pages allow from the start. Those of code that is loaded and of stacks come and go.
    pub rights: Option<Rights>,
    /// Whether single pages of it are [set](mmu::set) later.
    pub sizes: Sizes,
}

static AREAS: spin::Once<ArrayVec<Area, 48>> = spin::Once::new();

/// All areas that pages are for, but for none at the same address.
#[must_use]
pub fn areas() -> &'static [Area] {
    AREAS.get().map_or(&[], ArrayVec::as_slice)
}

/// The area that an address of memory is in.
#[must_use]
pub fn area_at(address: u64) -> Option<&'static Area> {
    let holds = |area: &&Area| (area.range.start..area.range.end).contains(&address);
    areas().iter().find(holds)
}

static TABLES: spin::Once<Range> = spin::Once::new();

/// Memory for page tables.
#[must_use]
pub fn tables() -> Range {
    TABLES.get().copied().unwrap_or(Range { start: 0, end: 0 })
}

/// Why memory can't be divided up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemoryError {
    /// The ranges contradict themselves, or are too many.
    Ranges(memmap::Error),
    /// No room for code that is made at run time in reach of the kernel's.
    OutOfCodeMemory,
    /// Not enough is left: so many bytes in one piece, of so many wanted.
    TooLittle {
        /// Largest free piece in bytes.
        found: u64,
        /// What the kernel needs.
        wanted: u64,
    },
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ranges(error) => error.fmt(f),
            Self::OutOfCodeMemory => {
                write!(
                    f,
                    "no {} free bytes in reach of the kernel's code",
                    code::BYTES
                )
            }
            Self::TooLittle { found, wanted } => {
                write!(
                    f,
                    "the largest free piece of memory has {found} bytes, {wanted} are needed"
                )
            }
        }
    }
}

impl From<memmap::Error> for MemoryError {
    fn from(error: memmap::Error) -> Self {
        Self::Ranges(error)
    }
}

/// The image, with everything that the linker script places behind it.
#[must_use]
pub fn kernel_image() -> Range {
    Range {
        start: (&raw const _start) as u64,
        end: (&raw const __kernel_end) as u64,
    }
}

/// Divides up memory, with room for the tables of a kind: says what each area is for, and starts the heap and what else hands out memory.
///
/// # Errors
/// [`MemoryError`]. On error, nothing has been handed out.
pub fn start(platform: &Platform, kind: Kind) -> Result<(), MemoryError> {
    let mut free = Map::<{ 2 * RANGES }>::new();
    for &range in &platform.memory {
        free.add(range)?;
    }
    for &range in [VECTORS, kernel_image()]
        .iter()
        .chain(&platform.initrd)
        .chain(&platform.reserved)
    {
        free.reserve(range)?;
    }
    let code = code::take(&mut free, kernel_image()).ok_or(MemoryError::OutOfCodeMemory)?;
    let mut areas = ArrayVec::new();
    add_image(&mut areas);
    areas.extend(code.areas());
    // They are read, and were put there before the kernel came.
    let given = platform.initrd.iter().map(|range| ("initrd", range));
    let reserved = platform.reserved.iter().map(|range| ("firmware", range));
    for (name, range) in given.chain(reserved) {
        let range = outwards(*range);
        // The device tree may lie in the kernel's own data.
        if range.start >= kernel_image().end || range.end <= kernel_image().start {
            let _ = areas.try_push(area(name, range, Some(Rights::Constants)));
        }
    }
    let piece = free.largest(PAGE).unwrap_or(Range { start: 0, end: 0 });
    let heap_bytes = (piece.size() / HEAP_PART).min(MOST_HEAP) / PAGE * PAGE;
    if heap_bytes < LEAST_HEAP {
        return Err(MemoryError::TooLittle {
            found: heap_bytes,
            wanted: LEAST_HEAP,
        });
    }
    // The heap comes first, low in memory: two instructions name an ops in it. The stacks lie above it,
    // for real mode: what one that is overrun destroys lies below it, and must not be the code that
    // reports it.
    let heap = Range {
        start: piece.start,
        end: piece.start + heap_bytes,
    };
    let stacks = Range {
        start: heap.end,
        end: (piece.end - TABLE_ROOM).min(heap.end + MOST_STACKS),
    };
    areas.push(Area {
        sizes: Sizes::Any,
        ..area("heap", heap, Some(Rights::Data))
    });
    areas.push(area("stacks", stacks, None));
    let start = stacks.end.next_multiple_of(ROOT_BYTES);
    let tables = Range {
        start,
        end: start + mmu::table_bytes_for(kind, &areas),
    };
    if tables.size() > 0 {
        areas.push(area("page tables", tables, Some(Rights::Data)));
        TABLES.call_once(|| tables);
    }
    AREAS.call_once(|| areas);
    // SAFETY: all ranges are memory that nothing else uses: the map took away
    // the image, the vectors, the tree, the initrd and what firmware reserved, and each was taken out of
    // it. The heap comes first: the others keep in it what they know.
    unsafe {
        heap::start(heap);
        code.start();
        stacks::start(stacks);
    }
    Ok(())
}

/// Room for page tables beside heap and stacks, in bytes: more than what they need, and what their alignment
/// takes.
const TABLE_ROOM: u64 = 4 << 20;

/// The pages that a range is in.
fn outwards(range: Range) -> Range {
    Range {
        start: range.start / PAGE * PAGE,
        end: range.end.next_multiple_of(PAGE),
    }
}

const fn area(name: &'static str, range: Range, rights: Option<Rights>) -> Area {
    Area {
        name,
        range,
        rights,
        sizes: Sizes::Small,
    }
}

/// The vectors, and the parts of the image that the linker script keeps on pages of their own.
fn add_image(areas: &mut ArrayVec<Area, 48>) {
    let (start, text_end) = (&raw const _start as u64, &raw const __text_end as u64);
    let constants = (&raw const __constants_start) as u64..(&raw const __constants_end) as u64;
    let image = kernel_image();
    areas.push(area("vectors", VECTORS_TRANSLATED, Some(Rights::Code)));
    areas.push(area(
        "kernel code",
        outwards(Range {
            start,
            end: text_end,
        }),
        Some(Rights::Code),
    ));
    areas.push(area(
        "kernel constants",
        Range {
            start: constants.start,
            end: constants.end,
        },
        Some(Rights::Constants),
    ));
    areas.push(area(
        "kernel data",
        Range {
            start: constants.end,
            end: image.end,
        },
        Some(Rights::Data),
    ));
}
