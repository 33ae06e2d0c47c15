//! Memory for code that is made at run time: trampolines, stubs, modules.
//!
//! It lies close to the kernel's text, so that a `bl` reaches it both ways. Small blocks share
//! pages, which are code from the start: they are written by [`text`]. A
//! module has pages of its own, which are written first and become code then.

use super::{Area, area, outside::Outside};
use crate::{
    arch,
    mmu::{self, PAGE, Rights},
    sync::IrqLock,
    text::{self, Unverified},
};
use alloc::alloc::Layout;
use core::{
    iter,
    sync::atomic::{AtomicU64, Ordering},
};
use memmap::{Map, Range};

/// Size of the region, in bytes.
pub const BYTES: u64 = 4 << 20;
/// How much of it small blocks have.
const SMALL_BYTES: u64 = 1 << 20;
/// How far a branch reaches, in bytes.
const REACH: u64 = ppc64::insn::BRANCH_HIGHEST as u64;
/// Small blocks begin at a cache block's start.
const ALIGN: u64 = 128;

/// How far a TOC pointer and what is reached by it may be apart, in bytes (ELFv2
/// medium code model).
const TOC_REACH: u64 = 1 << 31;
/// Size of the far region, in bytes.
const FAR_BYTES: u64 = 1 << 20;

/// What memory for small blocks holds where there is no code: no instruction, so a thread that gets there
/// traps, and does not execute what was there.
pub const NO_CODE: u32 = 0;

static REGION: spin::Once<Range> = spin::Once::new();
static SMALL: IrqLock<Outside> = IrqLock::named("machine::CODE", Outside::empty());
static MODULES: IrqLock<Outside> = IrqLock::named("machine::MODULES", Outside::empty());
/// Memory that no TOC pointer of the kernel reaches. Empty on machines that have no
/// such memory.
static FAR: IrqLock<Outside> = IrqLock::named("machine::FAR_CODE", Outside::empty());

/// A bit for each so many bytes of a part of the region.
#[derive(Debug)]
struct Bits<const WORDS: usize> {
    /// Where the part begins, from the region's start.
    offset: u64,
    step: u64,
    words: [AtomicU64; WORDS],
}

/// Of small blocks: those that are [marked](CodeBlock::mark).
static MARKS: Bits<{ (SMALL_BYTES / ALIGN / 64) as usize }> = Bits::new(0, ALIGN);
/// Of modules: the pages that are code.
static CODE_PAGES: Bits<{ (BYTES - SMALL_BYTES).div_ceil(PAGE * 64) as usize }> =
    Bits::new(SMALL_BYTES, PAGE);

impl<const WORDS: usize> Bits<WORDS> {
    const fn new(offset: u64, step: u64) -> Self {
        Self {
            offset,
            step,
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }

    #[inline]
    fn find(&self, address: u64) -> Option<(&AtomicU64, u64)> {
        let number = address.wrapping_sub(region().start + self.offset) / self.step;
        Some((self.words.get(number as usize / 64)?, 1 << (number % 64)))
    }

    #[inline]
    fn holds(&self, address: u64) -> bool {
        self.find(address)
            .is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Sets the bits of a range, which begins and ends where a bit does: so none is
    /// another range's too.
    fn set(&self, range: Range, on: bool) {
        for address in (range.start..range.end).step_by(self.step as usize) {
            let Some((word, bit)) = self.find(address) else {
                return;
            };
            if on {
                word.fetch_or(bit, Ordering::Relaxed);
            } else {
                word.fetch_and(!bit, Ordering::Relaxed);
            }
        }
    }
}

/// Where a block lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Small,
    Modules,
    Far,
}

impl Part {
    const fn free(self) -> &'static IrqLock<Outside> {
        match self {
            Self::Small => &SMALL,
            Self::Modules => &MODULES,
            Self::Far => &FAR,
        }
    }
}

/// A block of code memory. Dropping it gives the memory back, so its owner
/// drops it only when nothing can run in it any more.
#[derive(Debug)]
pub struct CodeBlock {
    start: u64,
    /// How much of it was asked for, in bytes.
    size: usize,
    /// The whole block: it ends where another can begin.
    layout: Layout,
    part: Part,
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
    /// A small block for `words` instructions, each of which is [`NO_CODE`] until the block is
    /// [written](Self::write).
    ///
    /// # Errors
    /// When no free block is large enough.
    pub fn new(words: usize) -> Result<Self, OutOfCodeMemory> {
        let size = words.saturating_mul(size_of::<u32>());
        Self::unwritten(Part::Small, size, ALIGN as usize)
    }

    /// Writes the first words of a small block, and makes fetches see them.
    ///
    /// # Errors
    /// With the first word that does not read back as it was written: memory is broken.
    ///
    /// # Panics
    /// When there are more words than the block was made for.
    ///
    /// # Safety
    /// Nothing runs in the block yet.
    pub unsafe fn write(&mut self, words: &[u32]) -> Result<(), Unverified> {
        assert!(size_of_val(words) <= self.size, "the block is too small");
        // SAFETY: the block is ours, and nothing runs in it, as the caller promises.
        unsafe { text::fill(self.range(), words.iter().copied()) };
        let places = (self.start..).step_by(size_of::<u32>());
        places.zip(words).try_for_each(|(address, &word)| {
            // SAFETY: code of the block, for it holds all words; aligned.
            Unverified::unless_kept(address, word, unsafe { arch::load_instruction(address) })
        })
    }

    /// Pages for a module of `size` bytes, with whatever is in them, to be [written](Self::bytes) and
    /// then [protected](Self::protect). `align` is a power of two.
    ///
    /// # Errors
    /// When no free block is large enough.
    pub fn for_module(size: usize, align: usize) -> Result<Self, OutOfCodeMemory> {
        Self::unwritten(Part::Modules, size, align)?.written_first()
    }

    /// The same, out of reach of the kernel's TOC pointer and of branches: for
    /// modules that are to be there.
    ///
    /// # Errors
    /// When the machine has no memory there, or no free block is large enough.
    pub fn far(size: usize, align: usize) -> Result<Self, OutOfCodeMemory> {
        Self::unwritten(Part::Far, size, align)?.written_first()
    }

    fn unwritten(part: Part, size: usize, align: usize) -> Result<Self, OutOfCodeMemory> {
        let error = OutOfCodeMemory {
            words: size / size_of::<u32>(),
        };
        let least = if part == Part::Small { ALIGN } else { PAGE } as usize;
        let layout = Layout::from_size_align(size.max(1), align.max(least)).map_err(|_| error)?;
        let layout = layout.pad_to_align();
        let start = part.free().lock().allocate(layout).ok_or(error)?;
        Ok(Self {
            start,
            size,
            layout,
            part,
            marked: false,
        })
    }

    fn written_first(self) -> Result<Self, OutOfCodeMemory> {
        self.set(self.whole(), Rights::Data)?;
        Ok(self)
    }

    /// Sets what pages of it allow.
    fn set(&self, pages: Range, rights: Rights) -> Result<(), OutOfCodeMemory> {
        let words = self.size / size_of::<u32>();
        mmu::set(pages, Some(rights)).map_err(|_| OutOfCodeMemory { words })
    }

    /// All of it, from where a block can begin to where another can.
    fn whole(&self) -> Range {
        Range {
            start: self.start,
            end: self.start + self.layout.size() as u64,
        }
    }

    /// Marks a small block until it is dropped: [`is_marked`] knows its addresses.
    pub fn mark(&mut self) {
        self.marked = self.part == Part::Small;
        if self.marked {
            MARKS.set(self.whole(), true);
        }
    }

    /// The memory of a module's block, before it is protected.
    ///
    /// # Safety
    /// Nothing runs in the block while the reference is used.
    pub unsafe fn bytes(&mut self) -> &mut [u8] {
        let size = self.size;
        // SAFETY: the block is ours and this long, its pages can be written, and memory has a
        // value everywhere.
        unsafe { core::slice::from_raw_parts_mut(self.start as *mut u8, size) }
    }

    /// Makes what was written to a module's block visible to instruction fetch. From here on its pages up to
    /// `code_end` are executed, those up to `constants_end` read, and the others written.
    ///
    /// # Errors
    /// When the pages can't be so.
    #[inline(never)] // what it does takes far longer than a call, which can be traced
    pub fn protect(&self, code_end: u64, constants_end: u64) -> Result<(), OutOfCodeMemory> {
        let code = Range {
            start: self.start,
            end: code_end.next_multiple_of(PAGE),
        };
        let constants = Range {
            start: code.end,
            end: constants_end.next_multiple_of(PAGE).max(code.end),
        };
        self.set(code, Rights::Code)?;
        self.set(constants, Rights::Constants)?;
        // SAFETY: the block is ours, and memory.
        unsafe { arch::flush_code(code.start, code.size()) };
        if self.part == Part::Modules {
            CODE_PAGES.set(code, true);
        }
        Ok(())
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
        let whole = self.whole();
        if self.marked {
            MARKS.set(whole, false);
        }
        if self.part == Part::Modules {
            CODE_PAGES.set(whole, false);
        }
        if self.part == Part::Small || !mmu::is_on() {
            // SAFETY: the block is ours, and nothing runs in it any more, says the owner.
            unsafe { text::fill(whole, iter::repeat(NO_CODE)) };
        } else if mmu::set(whole, None).is_err() {
            // Pages that stay must not be another's.
            return;
        }
        // SAFETY: allocated in `unwritten` with this layout, and given back once.
        unsafe { self.part.free().lock().free(self.start, self.layout) };
    }
}

/// Where code that is made at run time lies. Empty before [`start`](super::start).
#[must_use]
#[inline]
pub fn region() -> Range {
    REGION.get().copied().unwrap_or(Range { start: 0, end: 0 })
}

/// Whether an address in the region can be executed, and so read.
#[must_use]
#[inline]
pub fn is_code(address: u64) -> bool {
    address.wrapping_sub(region().start) < SMALL_BYTES.min(region().size())
        || CODE_PAGES.holds(address)
}

/// Whether an address lies in a [marked](CodeBlock::mark) block. Takes no lock, so the
/// answer is right whatever was interrupted or has failed.
#[must_use]
#[inline]
pub fn is_marked(address: u64) -> bool {
    MARKS.holds(address)
}

/// Bytes of code memory in use.
#[must_use]
pub fn used() -> usize {
    let parts = [&SMALL, &MODULES];
    parts.iter().map(|free| free.lock().used()).sum()
}

/// Memory for code.
#[derive(Clone, Copy, Debug)]
pub(super) struct CodeMemory {
    small: Range,
    modules: Range,
    far: Option<Range>,
}

/// Takes the region out of `free`: the first piece above `image` that is large
/// enough. None if there is none in reach of a branch. And the far region, if there is memory for it.
pub(super) fn take<const N: usize>(free: &mut Map<N>, image: Range) -> Option<CodeMemory> {
    let piece = free
        .iter()
        .map(|range| range.start.max(image.end).next_multiple_of(PAGE)..range.end)
        .find(|range| range.start.saturating_add(BYTES) <= range.end)?;
    let middle = piece.start + SMALL_BYTES;
    let end = piece.start + BYTES;
    let region = Range {
        start: piece.start,
        end,
    };
    if end - image.start > REACH || free.reserve(region).is_err() {
        return None;
    }
    let least = image.end + TOC_REACH;
    let far = free.iter().find_map(|range| {
        let start = range.end.checked_sub(FAR_BYTES)? / PAGE * PAGE;
        (start >= least.max(range.start)).then_some(Range {
            start,
            end: start + FAR_BYTES,
        })
    });
    Some(CodeMemory {
        small: Range {
            start: region.start,
            end: middle,
        },
        modules: Range { start: middle, end },
        far: far.filter(|far| free.reserve(*far).is_ok()),
    })
}

impl CodeMemory {
    pub fn areas(&self) -> impl Iterator<Item = Area> + use<> {
        let small = area("code made since boot", self.small, Some(Rights::Code));
        let modules = area("modules", self.modules, None);
        let far = self.far.map(|far| area("far modules", far, None));
        [small, modules].into_iter().chain(far)
    }

    /// Hands it out from now on.
    ///
    /// # Safety
    /// Called once, with the heap there; nothing else uses the memory.
    pub unsafe fn start(&self) {
        REGION.call_once(|| Range {
            start: self.small.start,
            end: self.modules.end,
        });
        // SAFETY: as the caller promises; the pages are not translated yet.
        unsafe { text::fill(self.small, iter::repeat(NO_CODE)) };
        let small = Outside::new(self.small, ALIGN);
        *SMALL.lock() = small;
        let modules = Outside::new(self.modules, PAGE);
        *MODULES.lock() = modules;
        if let Some(far) = self.far {
            let far = Outside::new(far, PAGE);
            *FAR.lock() = far;
        }
    }
}

/// Whether there is memory out of reach of the kernel's TOC pointer.
#[must_use]
pub fn has_far() -> bool {
    !FAR.lock().is_empty()
}
