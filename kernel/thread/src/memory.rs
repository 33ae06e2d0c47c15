//! A thread's stack, with a guard at its low end.

use super::OutOfMemory;
use alloc::alloc::Layout;
use core::ptr::NonNull;
use machine::{
    arch::{self, Stack},
    mm, stack,
};

// Every stack has at least room for an interrupt beside its guard; see `ThreadStack::new`.
const _: () = assert!(arch::LEAST_STACK <= layout::INTERRUPT_ROOM);

/// Stacks begin at a cache block's start.
pub(super) const ALIGN: usize = 128;

/// A stack. Dropping it frees its memory, unless it is the main stack, which stays.
#[derive(Debug)]
pub struct ThreadStack {
    stack: Stack,
    /// Nothing for the main stack.
    layout: Option<Layout>,
}

impl ThreadStack {
    /// A stack of about so many bytes, its guard filled in.
    pub(super) fn new(bytes: usize) -> Result<Self, OutOfMemory> {
        let least = stack::GUARD_BYTES as usize + 2 * layout::INTERRUPT_ROOM;
        let size = bytes.max(least);
        let size = size.checked_next_multiple_of(ALIGN).ok_or(OutOfMemory)?;
        let layout = Layout::from_size_align(size, ALIGN).map_err(|_| OutOfMemory)?;
        let bottom = mm::allocate_stack(layout).ok_or(OutOfMemory)?;
        let bottom = bottom.as_ptr().expose_provenance() as u64;
        // SAFETY: the block is ours and used for nothing else until it is dropped,
        // which happens when the thread never runs again; both ends are aligned.
        let stack = unsafe { Stack::new(bottom, bottom + size as u64) };
        // SAFETY: nothing is on it yet.
        unsafe { stack::fill_guard(&stack) };
        Ok(Self {
            stack,
            layout: Some(layout),
        })
    }

    /// The address just above the guard, aligned to [`ALIGN`]: what the thread takes
    /// along lies there until it has begun. The livepatch stack begins there too.
    pub(super) fn low_end(&self) -> *mut u8 {
        let address = self.stack.bottom() + stack::GUARD_BYTES;
        core::ptr::with_exposed_provenance_mut(address as usize)
    }

    /// The stack that the kernel runs on when it makes its first thread.
    pub(super) fn running() -> Self {
        let (bottom, top) = stack::running();
        // SAFETY: the running stack is used as nothing else, for good.
        let stack = unsafe { Stack::new(bottom, top) };
        Self {
            stack,
            layout: None,
        }
    }

    /// Where it is.
    #[must_use]
    #[inline]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Its lowest address and its end.
    #[must_use]
    #[inline]
    pub fn range(&self) -> (u64, u64) {
        (self.stack.bottom(), self.stack.top())
    }

    /// Its bytes, guard and all.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.stack.top() - self.stack.bottom()
    }
}

impl Drop for ThreadStack {
    fn drop(&mut self) {
        let bottom = core::ptr::with_exposed_provenance_mut(self.stack.bottom() as usize);
        if let (Some(layout), Some(bottom)) = (self.layout, NonNull::new(bottom)) {
            // SAFETY: allocated in `new` with this layout; the thread has ended, or
            // it would still hold on to its stack.
            unsafe { mm::free_stack(bottom, layout) };
        }
    }
}
