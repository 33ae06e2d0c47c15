//! Memory for code that is made at run time: trampolines, stubs, modules.
//!
//! It lies close to the kernel's text, so that a `bl` reaches it both ways. The
//! blocks in it are found by the same allocator as the heap's.

use crate::sync::IrqLock;
use alloc::alloc::Layout;
use core::{
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};
use linked_list_allocator::Heap;
use memmap::{Map, Range};

/// Size of the region, in bytes.
pub const BYTES: u64 = 4 << 20;
/// How far a branch reaches, in bytes.
const REACH: u64 = ppc64::insn::BRANCH_HIGHEST as u64;
/// Blocks begin at a cache block's start.
const ALIGN: usize = 128;

static REGION: spin::Once<Range> = spin::Once::new();
static FREE: IrqLock<Heap> = IrqLock::named("machine::CODE", Heap::empty());

/// How far a TOC pointer and what is reached by it may be apart, in bytes (ELFv2
/// medium code model).
const TOC_REACH: u64 = 1 << 31;
/// Size of the far region, in bytes.
const FAR_BYTES: u64 = 1 << 20;

/// Memory that no TOC pointer of the kernel reaches. Empty on machines that have no
/// such memory.
static FAR: IrqLock<Heap> = IrqLock::named("machine::FAR_CODE", Heap::empty());

/// A bit for each [`ALIGN`] bytes of the region that lie in a marked block.
static MARKS: [AtomicU64; BYTES as usize / ALIGN / 64] =
    [const { AtomicU64::new(0) }; BYTES as usize / ALIGN / 64];

/// A block of code memory. Dropping it gives the memory back, so its owner
/// drops it only when nothing can run in it any more.
#[derive(Debug)]
pub struct CodeBlock {
    start: u64,
    /// How much of it was asked for, in bytes.
    size: usize,
    /// The whole block: it ends where another can begin, so that no piece is left
    /// between them for every search to pass over.
    layout: Layout,
    /// Whether it is out of reach of the kernel's TOC pointer.
    far: bool,
    /// Whether it is marked.
    marked: bool,
}

/// There is no free block of that size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OutOfCodeMemory {
    /// How many words were asked for.
    pub words: usize,
}

impl core::fmt::Display for OutOfCodeMemory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "no free code memory for {} words", self.words)
    }
}

impl CodeBlock {
    /// A block for `words` instructions, filled with traps.
    ///
    /// # Errors
    /// When no free block is large enough.
    pub fn new(words: usize) -> Result<Self, OutOfCodeMemory> {
        let block = Self::unwritten(words.saturating_mul(size_of::<u32>()), ALIGN)?;
        for word in 0..words as u64 {
            // SAFETY: inside the block, which is ours and holds no code yet.
            unsafe { crate::arch::store_instruction(block.start + 4 * word, ppc64::insn::TRAP) };
        }
        Ok(block)
    }

    /// A block of `size` bytes with whatever is in it, to be written at once and
    /// then [flushed](Self::flush). `align` is a power of two.
    ///
    /// # Errors
    /// When no free block is large enough.
    pub fn unwritten(size: usize, align: usize) -> Result<Self, OutOfCodeMemory> {
        Self::unwritten_at(false, size, align)
    }

    /// The same, out of reach of the kernel's TOC pointer and of branches: for
    /// modules that are to be there.
    ///
    /// # Errors
    /// When the machine has no memory there, or no free block is large enough.
    pub fn far(size: usize, align: usize) -> Result<Self, OutOfCodeMemory> {
        Self::unwritten_at(true, size, align)
    }

    fn unwritten_at(far: bool, size: usize, align: usize) -> Result<Self, OutOfCodeMemory> {
        let error = OutOfCodeMemory {
            words: size / size_of::<u32>(),
        };
        let layout = Layout::from_size_align(size.max(1), align.max(ALIGN)).map_err(|_| error)?;
        let layout = layout.pad_to_align();
        let block = heap(far)
            .lock()
            .allocate_first_fit(layout)
            .map_err(|()| error)?;
        Ok(Self {
            start: block.addr().get() as u64,
            size,
            layout,
            far,
            marked: false,
        })
    }

    /// Marks the block until it is dropped: [`is_marked`] knows its addresses. Blocks
    /// in the far region can't be marked.
    pub fn mark(&mut self) {
        self.marked = !self.far;
        self.set_marks(self.marked);
    }

    fn set_marks(&self, on: bool) {
        // A block begins and ends at multiples of `ALIGN`, so no bit is another's too.
        let end = self.start + self.layout.size() as u64;
        for address in (self.start..end).step_by(ALIGN) {
            let Some((word, bit)) = mark_of(address) else {
                return;
            };
            if on {
                word.fetch_or(bit, Ordering::Relaxed);
            } else {
                word.fetch_and(!bit, Ordering::Relaxed);
            }
        }
    }

    /// The block's memory.
    ///
    /// # Safety
    /// Nothing runs in the block while the reference is used.
    pub unsafe fn bytes(&mut self) -> &mut [u8] {
        let size = self.size;
        // SAFETY: the block is ours and this long, and has a value everywhere:
        // `start` has cleared the region once.
        unsafe { core::slice::from_raw_parts_mut(self.start as *mut u8, size) }
    }

    /// Makes what was written visible to instruction fetch.
    #[inline(never)] // what it does takes far longer than a call, which can be traced
    pub fn flush(&self) {
        // SAFETY: the block is ours, and memory.
        unsafe { crate::arch::flush_code(self.start, self.size as u64) };
    }

    /// Address of the first instruction.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The block's addresses.
    #[must_use]
    #[inline]
    pub fn range(&self) -> Range {
        Range {
            start: self.start,
            end: self.start + self.size as u64,
        }
    }
}

impl Drop for CodeBlock {
    fn drop(&mut self) {
        let Some(block) = NonNull::new(self.start as *mut u8) else {
            return;
        };
        if self.marked {
            self.set_marks(false);
        }
        // Zero is no instruction: a thread that still gets here traps, and does not
        // execute what was there.
        // SAFETY: the block is ours, and nothing runs in it any more, says the owner.
        unsafe { block.as_ptr().write_bytes(0, self.layout.size()) };
        self.flush();
        // SAFETY: allocated in `unwritten_at` with this layout, and given back once.
        unsafe { heap(self.far).lock().deallocate(block, self.layout) };
    }
}

#[inline]
fn heap(far: bool) -> &'static IrqLock<Heap> {
    if far { &FAR } else { &FREE }
}

/// Where code that is made at run time lies. Empty before [`start`].
#[must_use]
#[inline]
pub fn region() -> Range {
    REGION.get().copied().unwrap_or(Range { start: 0, end: 0 })
}

/// The bit of an address in the region.
#[inline]
fn mark_of(address: u64) -> Option<(&'static AtomicU64, u64)> {
    let region = region();
    if !(region.start..region.end).contains(&address) {
        return None;
    }
    let number = (address - region.start) as usize / ALIGN;
    Some((MARKS.get(number / 64)?, 1 << (number % 64)))
}

/// Whether an address lies in a [marked](CodeBlock::mark) block. Takes no lock, so the
/// answer is right whatever was interrupted or has failed.
#[must_use]
#[inline]
pub fn is_marked(address: u64) -> bool {
    mark_of(address).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
}

/// Bytes of code memory in use.
#[must_use]
pub fn used() -> usize {
    FREE.lock().used()
}

/// Takes the region out of `free`: the first piece above `image` that is large
/// enough. False if there is none in reach of a branch.
///
/// # Safety
/// Called once; what is in `free` is memory that nothing uses.
pub unsafe fn start<const N: usize>(free: &mut Map<N>, image: Range) -> bool {
    let round = |address: u64| address.next_multiple_of(ALIGN as u64);
    let piece = free
        .iter()
        .map(|range| Range {
            start: round(range.start.max(image.end)),
            end: range.end,
        })
        .find(|range| range.start.saturating_add(BYTES) <= range.end);
    let Some(piece) = piece else { return false };
    let region = Range {
        start: piece.start,
        end: piece.start + BYTES,
    };
    if region.end - image.start > REACH || free.reserve(region).is_err() {
        return false;
    }
    // SAFETY: free memory, says the caller, and out of the map now.
    unsafe {
        (region.start as *mut u8).write_bytes(0, BYTES as usize);
        FREE.lock().init(region.start as *mut u8, BYTES as usize);
    }
    REGION.call_once(|| region);
    true
}

/// Takes the far region out of `free`, if there is memory for it.
///
/// # Safety
/// Called once; what is in `free` is memory that nothing uses.
pub unsafe fn start_far<const N: usize>(free: &mut Map<N>, image: Range) {
    let least = image.end + TOC_REACH;
    let round = |address: u64| address.next_multiple_of(ALIGN as u64);
    let mut pieces = free.iter().filter_map(|range| {
        let start = round(range.end.checked_sub(FAR_BYTES + ALIGN as u64)?);
        (start >= least.max(range.start)).then_some(Range {
            start,
            end: start + FAR_BYTES,
        })
    });
    let Some(piece) = pieces.next() else { return };
    drop(pieces);
    if free.reserve(piece).is_ok() {
        // SAFETY: free memory, says the caller, and out of the map now.
        unsafe {
            (piece.start as *mut u8).write_bytes(0, FAR_BYTES as usize);
            FAR.lock().init(piece.start as *mut u8, FAR_BYTES as usize);
        }
    }
}

/// Whether there is memory out of reach of the kernel's TOC pointer.
#[must_use]
pub fn has_far() -> bool {
    FAR.lock().size() > 0
}
