//! `racy`: A's r2 and return address are kept in two words that all threads share.
//! A control, in no registry: the step explorer must find out what is wrong with it.
//!
//! Called by one thread at a time it is as good as any. But a thread that is taken
//! off the CPU between the hand-off and the way home finds there what the last other
//! one has left; so does one whose interrupt handler makes such a call.

use super::{Toc, Variant, epilogue};
use core::arch::global_asm;
use klp::Convention;
use report::Judgement;

/// The variant.
pub static VARIANT: Variant = Variant {
    name: "racy",
    about: "r2 and LR in two words that all threads share",
    // Whatever C does to r2 before it returns, the helper comes after it.
    convention: Convention::Epilogue,
    hand_off,
    toc: Toc::Own,
    // A hook of C's return keeps the convention's sum there.
    expects: &[("reserved-word", Judgement::Fail, epilogue::RESERVED)],
    ..Variant::BASIC
};

fn hand_off() -> &'static [u32] {
    machine::code_between!(racy_hand_off, racy_hand_off_end)
}

// racy_hand_off: copied to where it is needed.
//
// On entry: r0 and LR = A's return address, r2 = A's TOC, r1 = A's frame, r12 and
// CTR = C's global entry.
// On exit: at C, with LR = racy_return. Clobbers: r11. Stack: none; writes racy_toc
// and racy_lr.
//
// racy_return: where C returns to.
//
// On entry: r1 = A's frame. On exit: at A, with the r2 and LR of the call that was handed
// over last; r3 and r4 are what C returns. Clobbers: r0, r11.
global_asm!(
    ".pushsection .bss.racy, \"aw\", @nobits",
    ".balign 8",
    "racy_toc: .space 8",
    "racy_lr: .space 8",
    ".popsection",
    "",
    ".globl racy_hand_off, racy_hand_off_end",
    "racy_hand_off:",
    "lis 11, racy_toc@ha",
    "std 2, racy_toc@l(11)",
    "lis 11, racy_lr@ha",
    "std 0, racy_lr@l(11)",
    "lis 11, racy_return@ha",
    "addi 11, 11, racy_return@l",
    "mtlr 11",
    "bctr",
    "racy_hand_off_end:",
    "",
    ".globl racy_return",
    ".type racy_return, @function",
    ".balign 16",
    // A stack walk looks up the call in front of a return address.
    "nop",
    "racy_return:",
    "lis 11, racy_toc@ha",
    "ld 2, racy_toc@l(11)",
    "lis 11, racy_lr@ha",
    "ld 0, racy_lr@l(11)",
    "mtlr 0",
    "blr",
    ".size racy_return, . - racy_return",
);
