//! Pieces of code in states that stack walks and switches must cope with, for
//! self-tests.

use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
    sync::atomic::AtomicU64,
};
use layout::FrameHeader;

unsafe extern "C" {
    fn spin_holding(value: u64, until: *const AtomicU64, seen: *const AtomicU64);
    fn end_slowly(until: *const AtomicU64);
    fn end_slowly_inner();
    fn end_slowly_window();
    fn end_slowly_end();
    fn relay();
    fn relay_end();
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
    header = const size_of::<FrameHeader>(),
);
