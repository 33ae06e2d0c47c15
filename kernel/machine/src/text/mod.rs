//! The one writer of code.
//!
//! A change of an instruction names its address, the word that is expected there, and the
//! new word. A transaction of such changes is checked as
//! a whole before any of it is written; then each word is written, made visible
//! to instruction fetch, and read back.
//!
//! # Other CPUs
//! On hardware another CPU runs the old word or the new one, and the new one for good when it
//! has executed an `isync` since. So a caller that relies on the new words, because code is to be freed
//! that the old ones lead to, waits with [`sync`], for which it must hold no lock.
//!
//! QEMU's multi-threaded TCG asks for more. It throws away what it has translated of the old
//! word first, and stores then. A CPU that translates in between keeps the old word, and nothing
//! but another store throws that away: with a caller in a tight loop, some writes of a
//! hundred are lost for good. A second store right away does not help (docs/cpus.md has the
//! figures): the translation may be under way for as long as the host likes. So [`sync`] stores
//! each word again when every CPU has taken an interrupt. And a store that meets the end of such
//! a translation may leave the writer's own TLB with an entry that says of the page that it holds no
//! code; no store by that entry throws anything away. So each CPU drops its entries in that
//! interrupt ([`arch::forget_translations`]).

use crate::{
    arch::{self, InterruptsOff},
    cpus, mm,
    mmu::{Alias, PAGE},
    symbols::Place,
    sync::IrqLock,
};
use core::fmt;
use memmap::Range;
use textplan::Rules;
pub use textplan::{Change, PlanError, Unverified};

unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
    fn trap_entry();
    static __trap_end: u8;
}

/// One transaction at a time: the words that are checked are those that are overwritten.
static WRITER: IrqLock<()> = IrqLock::named("machine::WRITER", ());

/// Why code was not changed, or not as asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TextError {
    /// A change does not fit; nothing was written.
    Refused(PlanError),
    /// A word does not read back as it was written: memory is broken.
    Unverified(Unverified),
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => match refusal.address() {
                Some(address) => write!(f, "{refusal} ({})", Place(address)),
                None => refusal.fmt(f),
            },
            Self::Unverified(unverified) => {
                write!(f, "{unverified} ({})", Place(unverified.address))
            }
        }
    }
}

/// The kernel's own code.
#[must_use]
#[inline]
pub fn kernel_text() -> Range {
    Range {
        start: &raw const __text_start as u64,
        end: &raw const __text_end as u64,
    }
}

/// Where words may be written, and what must stay as it is: the store itself, which would run
/// through a half-made change, and interrupt entry, which a `bl` would cost its registers.
#[derive(Debug)]
struct Ranges {
    patchable: [Range; 2],
    forbidden: [Range; 2],
}

/// Found once: with the first word that is written, when there is code memory.
static RANGES: spin::Once<Ranges> = spin::Once::new();
static RULES: spin::Once<Result<Rules<'static>, PlanError>> = spin::Once::new();

fn rules() -> Result<&'static Rules<'static>, PlanError> {
    let rules = RULES.call_once(|| {
        let ranges = RANGES.call_once(|| {
            let store = arch::store_instruction_words().as_ptr_range();
            let mut forbidden = [
                Range {
                    start: store.start as u64,
                    end: store.end as u64,
                },
                Range {
                    start: trap_entry as *const () as u64,
                    end: &raw const __trap_end as u64,
                },
            ];
            forbidden.sort_unstable_by_key(|range| range.start);
            Ranges {
                // Code memory lies above the image.
                patchable: [kernel_text(), mm::code::region()],
                forbidden,
            }
        });
        Rules::new(&ranges.patchable, &ranges.forbidden)
    });
    rules.as_ref().map_err(|&error| error)
}

/// Whether `address` is code of the kernel, made at build or at run time.
#[must_use]
#[inline]
pub fn is_code(address: u64) -> bool {
    let Range { start, end } = kernel_text();
    (start..end).contains(&address) || mm::code::is_code(address)
}

/// The word of code at `address`; zero where there is no code.
#[must_use]
#[inline]
pub fn read(address: u64) -> u32 {
    if !is_code(address) || !address.is_multiple_of(4) {
        return 0;
    }
    // SAFETY: code of the kernel, aligned.
    unsafe { arch::load_instruction(address) }
}

/// What words are written through: an alias of the page that they are in, for as long as they are in
/// one page.
struct Pen<'a> {
    off: &'a InterruptsOff,
    alias: Option<Alias<'a>>,
}

impl<'a> Pen<'a> {
    /// # Safety
    /// [`WRITER`] is held.
    unsafe fn new(off: &'a InterruptsOff) -> Self {
        Self { off, alias: None }
    }

    /// Where the word at `address` can be written.
    #[inline]
    fn place(&mut self, address: u64) -> u64 {
        let place = self.alias.as_ref().and_then(|alias| alias.of(address));
        place.unwrap_or_else(|| self.turn_to(address))
    }

    /// The same, in another page than the last one.
    #[inline(never)] // once a page
    fn turn_to(&mut self, address: u64) -> u64 {
        // The old one goes before the new one comes.
        self.alias = None;
        // SAFETY: the lock's holder has one pen, and this pen has no other alias.
        let alias = self.alias.insert(unsafe { Alias::new(address, self.off) });
        alias.of(address).unwrap_or(address)
    }
}

/// Writes a range of code that nothing runs in, word by word until there are no more, and makes
/// fetches see it. A page at a time, not a word at a time as [`apply`]: no CPU fetches in between.
///
/// # Safety
/// The range is the caller's, and nothing runs in it.
pub(crate) unsafe fn fill(range: Range, words: impl IntoIterator<Item = u32>) {
    let mut words = words.into_iter();
    let mut address = range.start;
    while address < range.end {
        // One page at a time: interrupts are off meanwhile.
        let end = range.end.min(address / PAGE * PAGE + PAGE);
        let writer = WRITER.lock();
        // SAFETY: the lock is held.
        let mut pen = unsafe { Pen::new(writer.off()) };
        let place = pen.place(address);
        for (offset, word) in (0..end - address).step_by(size_of::<u32>()).zip(&mut words) {
            // SAFETY: the alias is of the page that the range is in.
            unsafe { ((place + offset) as *mut u32).write_volatile(word) };
        }
        // SAFETY: memory is there.
        unsafe { arch::flush_code(address, end - address) };
        address = end;
    }
}

/// Writes a word of code, whatever is there, and makes later fetches see it.
///
/// # Safety
/// The address is of code, and a multiple of 4. Whatever runs through the word does what the kernel's
/// safety rests on.
pub unsafe fn write_unchecked(address: u64, word: u32) {
    let writer = WRITER.lock();
    // SAFETY: the lock is held.
    let mut pen = unsafe { Pen::new(writer.off()) };
    let place = pen.place(address);
    // SAFETY: as the caller promises; the place is the same word's.
    unsafe { arch::store_instruction(address, place, word) };
}

/// Makes all changes, or none. They are in the order of their addresses. Other CPUs may run the
/// old words until [`sync`].
///
/// # Errors
/// [`TextError::Refused`] with the first change that does not fit, and nothing
/// has changed. [`TextError::Unverified`] if memory does not keep a word.
///
/// # Safety
/// Whatever runs through the changed words, with some of them old and some new
/// while they are being written, does what the kernel's safety rests on.
pub unsafe fn apply(changes: &[Change]) -> Result<(), TextError> {
    let writer = WRITER.lock();
    let rules = rules().map_err(TextError::Refused)?;
    let word = |address| {
        // Not all of the region is there.
        if is_code(address) {
            // SAFETY: code of the kernel, and `check` asks for aligned addresses alone.
            unsafe { arch::load_instruction(address) }
        } else {
            0
        }
    };
    textplan::check(changes, rules, word).map_err(TextError::Refused)?;
    // SAFETY: the lock is held.
    let mut pen = unsafe { Pen::new(writer.off()) };
    let done = textplan::carry_out(changes, |address, new| {
        // SAFETY: aligned and in patchable code, as checked, and the place is the same word's; what it
        // means to run it is the caller's promise.
        unsafe { arch::store_instruction(address, pen.place(address), new) }
    });
    done.map_err(TextError::Unverified)
}

/// Waits until every CPU runs these words of code, which were written, as they are now.
///
/// # Panics
/// As [`cpus::synchronise`].
pub fn sync(words: &[u64]) {
    cpus::synchronise();
    if words.is_empty() || cpus::count() == 1 {
        return;
    }
    // One page at a time: an alias for each word would take longer than its store.
    for words in words.chunk_by(|one, next| one / PAGE == next / PAGE) {
        let writer = WRITER.lock();
        // SAFETY: the lock is held.
        let mut pen = unsafe { Pen::new(writer.off()) };
        // Each may have been written once more, or have gone with its module.
        for &address in words.iter().filter(|&&address| is_code(address)) {
            // SAFETY: the word that is there.
            unsafe { arch::store_instruction(address, pen.place(address), read(address)) };
        }
    }
    cpus::synchronise();
}
