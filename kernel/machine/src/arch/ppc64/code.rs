//! Reads and writes words of code.

use core::{
    arch::{asm, global_asm},
    ptr::NonNull,
};
use volatile::VolatilePtr;

unsafe extern "C" {
    fn store_instruction_asm(address: u64, word: u32, place: u64) -> u32;
    static store_instruction_end: u32;
}

/// The word of code at `address`, now.
///
/// # Safety
/// `address` is a multiple of 4, and memory is there.
#[must_use]
#[inline]
pub unsafe fn load_instruction(address: u64) -> u32 {
    let place = NonNull::new(address as *mut u32).expect("no code lies at zero");
    // The code that patches it writes behind the compiler's back.
    // SAFETY: as the caller promises.
    unsafe { VolatilePtr::new(place) }.read()
}

/// Writes a word of code, by another address of the same memory perhaps, and makes every later fetch from
/// `address` see it. Returns what the word then reads as, where it is fetched.
///
/// # Safety
/// `address` is a multiple of 4, memory is there, which `place` writes, and whatever runs through it
/// from now on may run through `word`.
#[inline]
pub unsafe fn store_instruction(address: u64, place: u64, word: u32) -> u32 {
    // SAFETY: as the caller promises.
    unsafe { store_instruction_asm(address, word, place) }
}

/// Makes code that was written as data visible to instruction fetch: the sequence
/// of [`store_instruction`] for a whole range (ISA Book II, 1.9.1).
///
/// # Safety
/// Memory is there.
#[inline(never)] // so that the copy whose instructions a test watches is the only one
pub unsafe fn flush_code(start: u64, size: u64) {
    /// Size of a cache block on every CPU that is supported, in bytes.
    const BLOCK: u64 = 128;
    let blocks = || (start & !(BLOCK - 1)..start + size).step_by(BLOCK as usize);
    // SAFETY: cache maintenance and barriers change no memory.
    unsafe {
        blocks().for_each(
            |block| asm!("dcbst 0, {}", in(reg) block, options(nostack, preserves_flags)),
        );
        asm!("sync", options(nostack, preserves_flags));
        blocks()
            .for_each(|block| asm!("icbi 0, {}", in(reg) block, options(nostack, preserves_flags)));
        asm!("sync", "isync", options(nostack, preserves_flags));
    }
}

/// The instructions that [`store_instruction`] is made of. What the cache
/// instructions do can't be seen under QEMU, so a test looks at the words.
#[must_use]
pub fn store_instruction_words() -> &'static [u32] {
    let start = store_instruction_asm as *const u32;
    let end = &raw const store_instruction_end;
    let words = (end.addr() - start.addr()) / size_of::<u32>();
    // SAFETY: the function's own code, from its start to its end.
    unsafe { core::slice::from_raw_parts(start, words) }
}

// store_instruction_asm(address, word, place) -> the word as read back
//
// The sequence is that of ISA Book II, 1.9.1 (instruction storage): the store,
// dcbst to push it out of the data cache, sync to wait for that, icbi to drop the
// old copy from the instruction cache, sync to wait for that, isync to drop what
// was fetched ahead. A word is stored by one instruction, so a CPU fetches the
// old one or the new one.
//
// On entry: r3 = address of the word, r4 = the new word, r5 = where the word is written.
// On exit: r3 = the word as memory holds it now.
// Clobbers: nothing else. Stack: none.
global_asm!(
    ".globl store_instruction_asm, store_instruction_end",
    ".type store_instruction_asm, @function",
    ".balign 16",
    "store_instruction_asm:",
    "stw 4, 0(5)",
    "dcbst 0, 5",
    "sync",
    "icbi 0, 3",
    "sync",
    "isync",
    "lwz 3, 0(3)",
    "blr",
    "store_instruction_end:",
    ".size store_instruction_asm, . - store_instruction_asm",
);

/// What lies between two symbols of the linker script's or of assembly, as a slice of one
/// type.
///
/// # Safety
/// There are whole values of the type between the two, aligned, and nothing writes to them.
#[macro_export]
macro_rules! collected {
    ($T:ty, $start:ident, $end:ident) => {{
        unsafe extern "C" {
            // Labels: what is behind them is no part of these.
            static $start: [$T; 0];
            static $end: [$T; 0];
        }
        let (start, end) = (&raw const $start, &raw const $end);
        let count = (end.addr() - start.addr()) / size_of::<$T>();
        core::slice::from_raw_parts(start.cast::<$T>(), count)
    }};
}

/// The words between two labels.
#[macro_export]
macro_rules! code_between {
    ($start:ident, $end:ident) => {{
        // SAFETY: a piece of code lies between its two labels.
        unsafe { $crate::collected!(u32, $start, $end) }
    }};
}
