//! The functions that the explorer's patches replace.

use core::hint::black_box;

/// What is called at every instruction. Uses no TOC, so that callers may have any r2,
/// and a wrong one is told by its value alone.
#[inline(never)]
pub extern "C" fn value(x: u64) -> u64 {
    black_box(x).wrapping_mul(3).wrapping_add(1)
}

/// Calls `inside`: a thread that is in there keeps transitions from ending.
#[inline(never)]
pub extern "C" fn hold(inside: extern "C" fn()) {
    inside();
    // No tail call: the frame must be on the stack meanwhile.
    black_box(());
}
