//! The heap: `linked_list_allocator` behind a lock that keeps interrupts off. And the
//! threads' stacks, which are a heap of their own above it: what a stack that is
//! overrun destroys lies below, and must not be the code that reports it.

use crate::sync::IrqLock;
use core::{
    alloc::{GlobalAlloc, Layout},
    ptr::{self, NonNull},
};
use linked_list_allocator::Heap;
use memmap::Range;

/// Of memory, the heap has one part in so many; the stacks have the rest.
const HEAP_PART: u64 = 4;

static STACKS: IrqLock<Heap> = IrqLock::named("machine::STACKS", Heap::empty());

struct KernelHeap(IrqLock<Heap>);

#[global_allocator]
static HEAP: KernelHeap = KernelHeap(IrqLock::named("machine::HEAP", Heap::empty()));

// SAFETY: the allocator hands out disjoint blocks of the range that `start`
// was given, fit for the layout, and the lock serialises it.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.0.lock().allocate_first_fit(layout);
        block.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(block) else {
            return;
        };
        // SAFETY: the caller hands back what `alloc` gave for this layout.
        unsafe { self.0.lock().deallocate(block, layout) }
    }
}

/// How much of the heap is in use, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Usage {
    /// Handed out.
    pub used: usize,
    /// Not handed out.
    pub free: usize,
}

fn usage_of(heap: &IrqLock<Heap>) -> Usage {
    let heap = heap.lock();
    Usage {
        used: heap.used(),
        free: heap.free(),
    }
}

/// The heap's usage now.
#[must_use]
pub fn usage() -> Usage {
    usage_of(&HEAP.0)
}

/// How much of the memory for threads' stacks is in use now.
#[must_use]
pub fn stack_usage() -> Usage {
    usage_of(&STACKS)
}

/// Memory for a thread's stack. Its size is not zero.
#[must_use]
pub fn allocate_stack(layout: Layout) -> Option<NonNull<u8>> {
    STACKS.lock().allocate_first_fit(layout).ok()
}

/// Takes it back.
///
/// # Safety
/// The block came from [`allocate_stack`] for this layout, and is no longer in use.
pub unsafe fn free_stack(block: NonNull<u8>, layout: Layout) {
    // SAFETY: as the caller promises.
    unsafe { STACKS.lock().deallocate(block, layout) }
}

/// Divides memory into the heap and, above it, the threads' stacks.
///
/// # Safety
/// Called once; `range` is memory that nothing else uses.
pub unsafe fn start(range: Range) {
    let size = (range.end - range.start) / HEAP_PART;
    let middle = (range.start + size).next_multiple_of(4096);
    let init = |heap: &IrqLock<Heap>, start: u64, end: u64| {
        // SAFETY: as the caller promises; the two halves don't overlap.
        unsafe { heap.lock().init(start as *mut u8, (end - start) as usize) }
    };
    init(&HEAP.0, range.start, middle);
    init(&STACKS, middle, range.end);
}
