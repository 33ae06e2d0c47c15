//! An allocator for memory that it does not touch, because that can't be written, or is not there.

use alloc::{vec, vec::Vec};
use core::{alloc::Layout, ptr::NonNull};
use linked_list_allocator::Heap;
use memmap::Range;

/// What stands for a unit of the memory: the allocator needs so many bytes to keep a free block in.
type Stand = [u64; 2];

/// Hands out memory in whole units. What it knows of free blocks it keeps in a
/// heap that stands for the memory: so many bytes of it for each unit.
pub struct Outside {
    heap: Heap,
    /// Where the memory begins, and what stands for it.
    starts: (u64, u64),
    unit: u64,
}

impl Outside {
    /// One that has nothing.
    pub const fn empty() -> Self {
        Self {
            heap: Heap::empty(),
            starts: (0, 0),
            unit: 1,
        }
    }

    /// One that hands out a range, in units of so many bytes: a power of two.
    pub fn new(range: Range, unit: u64) -> Self {
        let units = (range.size() / unit) as usize;
        let stands: Vec<Stand> = vec![[0; 2]; units];
        let stands = stands.leak();
        let starts = (range.start, stands.as_ptr().addr() as u64);
        // SAFETY: the memory is the heap's alone, for good.
        let heap = unsafe { Heap::new(stands.as_mut_ptr().cast(), size_of_val(stands)) };
        Self { heap, starts, unit }
    }

    /// What stands for so much memory, at such an alignment.
    fn stand(&self, layout: Layout) -> Option<Layout> {
        let units = (layout.size() as u64).div_ceil(self.unit) as usize;
        let align = (layout.align() as u64).div_ceil(self.unit) as usize;
        let size = units.checked_mul(size_of::<Stand>())?;
        Layout::from_size_align(size, align * size_of::<Stand>()).ok()
    }

    /// The first block that fits; its address.
    pub fn allocate(&mut self, layout: Layout) -> Option<u64> {
        let stand = self.heap.allocate_first_fit(self.stand(layout)?).ok()?;
        let (start, stands) = self.starts;
        let unit = (stand.addr().get() as u64 - stands) / size_of::<Stand>() as u64;
        Some(start + unit * self.unit)
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// It was allocated with this layout, and is given back once.
    pub unsafe fn free(&mut self, address: u64, layout: Layout) {
        let (start, stands) = self.starts;
        let stand = stands + (address - start) / self.unit * size_of::<Stand>() as u64;
        if let Some((stand, layout)) = NonNull::new(stand as *mut u8).zip(self.stand(layout)) {
            // SAFETY: as the caller promises.
            unsafe { self.heap.deallocate(stand, layout) }
        }
    }

    fn bytes(&self, stands: usize) -> usize {
        stands / size_of::<Stand>() * self.unit as usize
    }

    /// Bytes that are handed out.
    pub fn used(&self) -> usize {
        self.bytes(self.heap.used())
    }

    /// Bytes that are not.
    pub fn free_bytes(&self) -> usize {
        self.bytes(self.heap.free())
    }

    /// Whether there is any memory.
    pub fn is_empty(&self) -> bool {
        self.heap.size() == 0
    }
}
