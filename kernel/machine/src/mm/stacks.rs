//! Memory for the stacks of threads: pages that are there as long as a thread has them.
//!
//! A thread has two stacks, the livepatch stack below its own, and a page below each of them is a guard, which
//! is never there. What follows above is another thread's first guard, or free, or no memory
//! for stacks any more. So each stack ends in an absent page at either end. With `mmu=off` the
//! guards are there; that between the two, which both run into, holds a pattern: see [`crate::stack`].

use super::{Usage, outside::Outside};
use crate::{
    mmu::{self, PAGE, Rights},
    stack,
    sync::IrqLock,
};
use alloc::alloc::Layout;
use memmap::Range;

const _: () = assert!(stack::GUARD_BYTES == PAGE);

static FREE: IrqLock<Outside> = IrqLock::named("machine::STACKS", Outside::empty());

/// Hands out a range from now on.
///
/// # Safety
/// Called once; `range` is memory that nothing else uses.
pub unsafe fn start(range: Range) {
    let all = Outside::new(range, PAGE);
    *FREE.lock() = all;
}

/// How much of it is in use now.
#[must_use]
pub fn usage() -> Usage {
    let free = FREE.lock();
    Usage {
        used: free.used(),
        free: free.free_bytes(),
    }
}

fn layout(bytes: u64) -> Option<Layout> {
    Layout::from_size_align(usize::try_from(bytes).ok()?, PAGE as usize).ok()
}

/// The memory of a thread's stacks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stacks {
    all: Range,
    livepatch_bytes: u64,
}

impl Stacks {
    /// The livepatch stack, without its guard.
    #[must_use]
    pub const fn livepatch(&self) -> Range {
        let start = self.all.start + stack::GUARD_BYTES;
        Range {
            start,
            end: start + self.livepatch_bytes,
        }
    }

    /// The stack, without its guard and without [`ABOVE`].
    #[must_use]
    pub const fn stack(&self) -> Range {
        Range {
            start: self.livepatch().end + stack::GUARD_BYTES,
            end: self.all.end - ABOVE,
        }
    }
}

/// Bytes above a stack's first frame that can be read: code that does not know how many arguments there are
/// reads what is above its caller's frame.
pub const ABOVE: u64 = 256;

/// Of a stack's size, its livepatch stack has a part of so many.
const LIVEPATCH_PART: u64 = 4;

/// Memory for a stack of so many bytes, a multiple of [`PAGE`] and [`ABOVE`] with them, and for its livepatch stack.
#[must_use]
pub fn allocate(bytes: u64) -> Option<Stacks> {
    let livepatch_bytes = bytes.div_ceil(LIVEPATCH_PART).next_multiple_of(PAGE);
    let all = bytes.checked_add(livepatch_bytes + 2 * stack::GUARD_BYTES)?;
    let start = FREE.lock().allocate(layout(all)?)?;
    let stacks = Stacks {
        all: Range {
            start,
            end: start + all,
        },
        livepatch_bytes,
    };
    let stack = Range {
        end: stacks.all.end,
        ..stacks.stack()
    };
    for part in [stacks.livepatch(), stack] {
        if mmu::set(part, Some(Rights::Data)).is_err() {
            // SAFETY: allocated right here.
            unsafe { free(stacks) };
            return None;
        }
    }
    if !mmu::is_on() {
        // SAFETY: the memory is for no other use.
        unsafe { stack::fill_guard(stacks.livepatch().end) };
    }
    Some(stacks)
}

/// Takes it back.
///
/// # Safety
/// It came from [`allocate`], is given back once, and is no longer in use.
pub unsafe fn free(stacks: Stacks) {
    let all = stacks.all;
    // Its pages had tables, so they can be taken away.
    if let (Ok(()), Some(layout)) = (mmu::set(all, None), layout(all.size())) {
        // SAFETY: as the caller promises.
        unsafe { FREE.lock().free(all.start, layout) }
    }
}
