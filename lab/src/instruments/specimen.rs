//! Pieces of code in states that stack walks and switches must cope with, for
//! self-tests.

use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
    sync::atomic::AtomicU64,
};
use layout::FrameHeader;
use machine::arch::{close_frame_and_return, open_frame};

/// The frame of `keep_nonvolatile`.
#[repr(C, align(16))]
struct KeepFrame {
    header: FrameHeader,
    /// The caller's r14 to r31.
    nonvolatile: [u64; 18],
    /// r2, and the pattern.
    keep: [u64; 2],
}

unsafe extern "C" {
    fn keep_nonvolatile(function: extern "C" fn(), pattern: u64) -> u64;
    fn spin_holding(value: u64, until: *const AtomicU64, seen: *const AtomicU64);
    fn end_slowly(until: *const AtomicU64);
    fn end_slowly_inner();
    fn end_slowly_window();
    fn end_slowly_end();
    fn relay();
    fn relay_end();
}

/// Calls `function` with patterns of its own in all nonvolatile registers: `pattern`
/// plus the number in r14 to r31, its low four bits in CR2, CR3 and CR4. Returns a
/// bit for each that the call has changed: its number, 0 for CR, 2 for r2, and 13.
#[must_use]
pub fn call_and_compare(function: extern "C" fn(), pattern: u64) -> u64 {
    // SAFETY: follows the ABI.
    unsafe { keep_nonvolatile(function, pattern) }
}

/// Sets `seen` and waits until `until` is not zero, with `value` in r20 and in no
/// other place.
pub fn hold_in_register(value: u64, until: &AtomicU64, seen: &AtomicU64) {
    // SAFETY: follows the ABI; the two are there as long as it runs.
    unsafe { spin_holding(value, until, seen) }
}

/// Calls a function over and over that does little but end, until `until` is not zero.
pub fn call_what_ends_slowly(until: &AtomicU64) {
    // SAFETY: follows the ABI; `until` is there as long as it runs.
    unsafe { end_slowly(until) }
}

/// The code of [`call_what_ends_slowly`] that a return address may lie in; and the
/// instructions during which that address is in memory alone.
#[must_use]
pub fn what_ends_slowly() -> [core::ops::Range<u64>; 2] {
    let [start, inner, window, end] = [
        end_slowly as *const () as u64,
        end_slowly_inner as *const () as u64,
        end_slowly_window as *const () as u64,
        end_slowly_end as *const () as u64,
    ];
    [start..inner, window..end]
}

/// A function `extern "C" fn(extern "C" fn())` that calls its argument, with a frame
/// of its own. It runs wherever it is copied to.
#[must_use]
pub fn relay_words() -> &'static [u32] {
    let start = relay as *const () as *const u32;
    let words = (relay_end as *const () as usize - start.addr()) / size_of::<u32>();
    // SAFETY: the routine lies between its two labels.
    unsafe { core::slice::from_raw_parts(start, words) }
}

// keep_nonvolatile(function, pattern) -> changed
//
// On entry: r3 = a function's global entry, r4 = a pattern.
// On exit: r3 = a bit for each register that the call has changed.
// Clobbers: what the ABI lets a function clobber. Stack: one KeepFrame.
//
// spin_holding(value, until, seen)
//
// On entry: r3 = a value, r4 = address of a flag, r5 = address of another.
// On exit: nothing. Stack: r20 in the red zone.
//
// end_slowly(until)
//
// On entry: r3 = address of a flag.
// On exit: nothing. Stack: a frame header, and one more in end_slowly_inner. While
// that one ends, no register holds its return address.
//
// relay(function)
//
// On entry: r3 = a function's global entry. Stack: one frame header.
global_asm!(
    ".globl keep_nonvolatile",
    ".type keep_nonvolatile, @function",
    ".balign 16",
    "keep_nonvolatile:",
    open_frame!(),
    "std 2, {keep}(1)",
    "std 4, {keep} + 8(1)",
    // CR2 to CR4, each the pattern's low four bits.
    "clrldi 5, 4, 60",
    "sldi 6, 5, 12",
    "sldi 7, 5, 16",
    "sldi 8, 5, 20",
    "or 6, 6, 7",
    "or 6, 6, 8",
    "mtcr 6",
    ".set n, 14",
    ".rept 18",
    "addi n, 4, n",
    ".set n, n + 1",
    ".endr",
    "mr 12, 3",
    "mtctr 12",
    "bctrl",
    "mfcr 5",
    "ld 4, {keep} + 8(1)",
    "li 3, 0",
    ".set n, 14",
    ".rept 18",
    "addi 6, 4, n",
    "cmpd 6, n",
    "beq 2f",
    "li 7, 1",
    "sldi 7, 7, n",
    "or 3, 3, 7",
    "2:",
    ".set n, n + 1",
    ".endr",
    "clrldi 6, 4, 60",
    "sldi 7, 6, 12",
    "sldi 8, 6, 16",
    "sldi 9, 6, 20",
    "or 7, 7, 8",
    "or 7, 7, 9",
    "rlwinm 5, 5, 0, 8, 19",
    "cmpd 5, 7",
    "beq 2f",
    "ori 3, 3, 1",
    "2:",
    "ld 6, {keep}(1)",
    "cmpd 6, 2",
    "beq 2f",
    "ori 3, 3, 1 << 2",
    "2:",
    "ld 2, {keep}(1)",
    close_frame_and_return!(),
    ".size keep_nonvolatile, . - keep_nonvolatile",
    "",
    ".globl spin_holding",
    ".type spin_holding, @function",
    ".balign 16",
    "spin_holding:",
    "std 20, -8(1)",
    "mr 20, 3",
    "li 3, 1",
    "std 3, 0(5)",
    "2: ld 3, 0(4)",
    "cmpdi 3, 0",
    "beq 2b",
    "ld 20, -8(1)",
    "blr",
    ".size spin_holding, . - spin_holding",
    "",
    ".globl end_slowly, end_slowly_inner, end_slowly_window, end_slowly_end",
    ".type end_slowly, @function",
    ".balign 16",
    "end_slowly:",
    "mflr 0",
    "std 0, {lr_save}(1)",
    "stdu 1, -{header}(1)",
    "3: bl end_slowly_inner",
    "ld 4, 0(3)",
    "cmpdi 4, 0",
    "beq 3b",
    "addi 1, 1, {header}",
    "ld 0, {lr_save}(1)",
    "mtlr 0",
    "blr",
    ".size end_slowly, . - end_slowly",
    ".type end_slowly_inner, @function",
    "end_slowly_inner:",
    "mflr 0",
    "std 0, {lr_save}(1)",
    "stdu 1, -{header}(1)",
    // As after calls: neither LR nor any other register has it.
    "li 0, 0",
    "mtlr 0",
    "mtctr 0",
    "li 12, 0",
    "addi 1, 1, {header}",
    "end_slowly_window:",
    // QEMU looks for interrupts where it begins to translate anew.
    ".rept 16",
    "isync",
    ".endr",
    "end_slowly_end:",
    "ld 0, {lr_save}(1)",
    "mtlr 0",
    "blr",
    ".size end_slowly_inner, . - end_slowly_inner",
    "",
    ".globl relay, relay_end",
    ".type relay, @function",
    ".balign 16",
    "relay:",
    "mflr 0",
    "std 0, {lr_save}(1)",
    "stdu 1, -{header}(1)",
    "mr 12, 3",
    "mtctr 12",
    "bctrl",
    "addi 1, 1, {header}",
    "ld 0, {lr_save}(1)",
    "mtlr 0",
    "blr",
    "relay_end:",
    ".size relay, . - relay",
    lr_save = const offset_of!(FrameHeader, lr_save),
    cr_save = const offset_of!(FrameHeader, cr_save),
    header = const size_of::<FrameHeader>(),
    frame = const size_of::<KeepFrame>(),
    nonvolatile = const offset_of!(KeepFrame, nonvolatile),
    keep = const offset_of!(KeepFrame, keep),
);
