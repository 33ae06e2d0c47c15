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

use crate::{arch, cpus, mm, symbols::Place, sync::IrqLock};
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

/// Code that must stay as it is: the store itself, which would run through a
/// half-made change, and interrupt entry, which a `bl` would cost its registers.
fn forbidden() -> [Range; 2] {
    let store = arch::store_instruction_words().as_ptr_range();
    let mut ranges = [
        Range {
            start: store.start as u64,
            end: store.end as u64,
        },
        Range {
            start: trap_entry as *const () as u64,
            end: &raw const __trap_end as u64,
        },
    ];
    ranges.sort_unstable_by_key(|range| range.start);
    ranges
}

/// Whether `address` is code of the kernel, made at build or at run time.
#[must_use]
#[inline]
pub fn is_code(address: u64) -> bool {
    [kernel_text(), mm::code::region()]
        .iter()
        .any(|range| (range.start..range.end).contains(&address))
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
    let _writer = WRITER.lock();
    let code = mm::code::region();
    let text = kernel_text();
    let mut patchable = [text, code];
    patchable.sort_unstable_by_key(|range| range.start);
    let rules = Rules {
        patchable: &patchable,
        forbidden: &forbidden(),
    };
    textplan::check(changes, &rules, |address| {
        // SAFETY: `check` asks for aligned addresses in patchable code alone.
        unsafe { arch::load_instruction(address) }
    })
    .map_err(TextError::Refused)?;
    let done = textplan::carry_out(changes, |address, new| {
        // SAFETY: aligned and in patchable code, as checked; what it means to
        // run it is the caller's promise.
        unsafe { arch::store_instruction(address, new) }
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
    for &address in words {
        let _writer = WRITER.lock();
        // It may have been written once more.
        let word = read(address);
        // SAFETY: the word that is there.
        unsafe { arch::store_instruction(address, word) };
    }
    cpus::synchronise();
}
