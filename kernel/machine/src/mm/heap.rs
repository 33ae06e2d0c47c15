//! The heap: `linked_list_allocator` behind a lock that keeps interrupts off.

use crate::sync::IrqLock;
use core::{
    alloc::{GlobalAlloc, Layout},
    ptr::{self, NonNull},
};
use linked_list_allocator::Heap;
use memmap::Range;

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

/// The heap's usage now.
#[must_use]
pub fn usage() -> Usage {
    let heap = HEAP.0.lock();
    Usage {
        used: heap.used(),
        free: heap.free(),
    }
}

/// Starts the heap.
///
/// # Safety
/// Called once; `range` is memory that nothing else uses.
pub unsafe fn start(range: Range) {
    // SAFETY: as the caller promises.
    unsafe {
        HEAP.0
            .lock()
            .init(range.start as *mut u8, range.size() as usize)
    }
}
