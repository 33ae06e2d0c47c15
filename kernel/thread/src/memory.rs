//! A thread's stacks: its own, and the livepatch stack.

use super::OutOfMemory;
use machine::{
    arch::{self, Stack},
    mm::stacks::{self, Stacks},
    mmu::PAGE,
    stack,
};
use memmap::Range;

// Every stack has at least room for an interrupt; see `ThreadStack::new`.
const _: () = assert!(arch::LEAST_STACK <= layout::INTERRUPT_ROOM);

/// What a thread takes along is no larger than this, in bytes, and aligned to no more. A livepatch
/// stack has a page or more, so what hand-offs push before it is taken up has room.
pub(super) const ROOM: usize = PAGE as usize / 2;

/// Where a `F` lies that a thread takes along, until it has begun: behind all that its livepatch
/// stack holds by then, which grows towards it. `end` is the livepatch stack's, where the
/// guard begins.
pub(super) fn taken_along<F>(end: u64) -> *mut F {
    const {
        assert!(
            size_of::<F>() <= ROOM && align_of::<F>() <= ROOM,
            "what a thread takes along is too large for its stack: box it"
        )
    };
    let start = (end as usize - size_of::<F>()) & !(align_of::<F>() - 1);
    core::ptr::with_exposed_provenance_mut(start)
}

/// A stack. Dropping it frees its memory, unless it is the main stack, which stays.
#[derive(Debug)]
pub struct ThreadStack {
    stack: Stack,
    /// Where the livepatch stack begins.
    livepatch: u64,
    /// Nothing for the main stack.
    memory: Option<Stacks>,
}

impl ThreadStack {
    /// A stack of about so many bytes.
    pub(super) fn new(bytes: usize) -> Result<Self, OutOfMemory> {
        let least = 2 * layout::INTERRUPT_ROOM;
        let size = bytes.max(least);
        let size = size.checked_next_multiple_of(PAGE as usize);
        let memory = size.and_then(|size| stacks::allocate(size as u64));
        let memory = memory.ok_or(OutOfMemory)?;
        let Range { start, end } = memory.stack();
        // SAFETY: the memory is ours and used for nothing else until it is dropped,
        // which happens when the thread never runs again; both ends are aligned.
        let stack = unsafe { Stack::new(start, end) };
        Ok(Self {
            stack,
            livepatch: memory.livepatch().start,
            memory: Some(memory),
        })
    }

    /// Where the guard between the two stacks begins.
    #[must_use]
    #[inline]
    pub fn guard(&self) -> u64 {
        self.stack.bottom() - stack::GUARD_BYTES
    }

    /// Where the livepatch stack begins.
    #[must_use]
    #[inline]
    pub fn livepatch(&self) -> u64 {
        self.livepatch
    }

    /// The stack that the kernel runs on when it makes its first thread.
    pub(super) fn running() -> Self {
        let (bottom, top) = stack::running();
        // SAFETY: the running stack is used as nothing else, for good.
        let stack = unsafe { Stack::new(bottom, top) };
        Self {
            stack,
            livepatch: arch::livepatch_stack(),
            memory: None,
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

    /// Its bytes.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.stack.top() - self.stack.bottom()
    }
}

impl Drop for ThreadStack {
    fn drop(&mut self) {
        if let Some(memory) = self.memory {
            // SAFETY: allocated in `new`; the thread has ended, or
            // it would still hold on to its stack.
            unsafe { stacks::free(memory) };
        }
    }
}
