//! Memory: what there is, what uses it, and the heap.

pub mod code;
mod heap;

pub use heap::{Usage, allocate_stack, free_stack, stack_usage, usage};

use crate::{
    arch::Stack,
    platform::{Platform, RANGES},
    stack,
};
use core::fmt;
use memmap::{Map, Range};

/// What the memory below the kernel's image is used for: interrupt vectors.
const VECTORS: Range = Range {
    start: 0,
    end: ppc64::vector::SCV_END,
};

/// Smallest heap that the kernel starts with, in bytes.
const LEAST_HEAP: u64 = 16 << 20;

unsafe extern "C" {
    static _start: u8;
    static __kernel_end: u8;
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

/// Divides up memory: starts the heap, and returns the main stack. The stack is
/// carved from the upper end of one range; the rest of that range becomes the heap.
///
/// # Errors
/// [`MemoryError`]. On error, nothing has been handed out.
pub fn start(platform: &Platform) -> Result<Stack, MemoryError> {
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
    let too_little = |free: &Map<_>| MemoryError::TooLittle {
        found: free
            .largest(4096)
            .map_or(0, |range| range.end - range.start),
        wanted: stack::MAIN_BYTES + LEAST_HEAP,
    };
    // SAFETY: the map holds what nothing uses, as below; `start` runs once.
    if !unsafe { code::start(&mut free, kernel_image()) } {
        return Err(MemoryError::OutOfCodeMemory);
    }
    // SAFETY: as above.
    unsafe { code::start_far(&mut free, kernel_image()) };
    let stack = free
        .take(stack::MAIN_BYTES, 4096)
        .ok_or(too_little(&free))?;
    let heap = free
        .largest(4096)
        .filter(|heap| heap.end - heap.start >= LEAST_HEAP);
    let heap = heap.ok_or(too_little(&free))?;
    // SAFETY: both ranges are memory that nothing else uses: the map took away
    // the image, the vectors, the tree, the initrd and what firmware reserved,
    // `take` carved the stack out of it, and nothing else is handed out.
    unsafe {
        heap::start(heap);
        Ok(Stack::new(stack.start, stack.end))
    }
}
