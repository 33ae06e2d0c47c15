//! `epilogue`: every replacement function rebuilds its caller's r2 by itself.
//!
//! Torsten Duwe, linuxppc-dev, 10 March 2016, "[PATCH 2/2] ppc64le live patch: get
//! rid of mini stack frame", solution 1. The mini frame that `klp_return_helper`
//! needed shifted the arguments that A had passed on the stack. Without it there is
//! no frame of our own to keep A's r2 in; but there is a word in A's, next to where
//! A's callee saves CR, that the ABI reserves and no compiler uses: 12(r1), "CR+4" in the
//! mail. It has 32 bits, too few for an address, and enough for the distance from A's
//! return address to A's TOC: the two belong to one module, within 2 GiB (ELFv2 medium
//! code model).
//!
//! C saves its return address at 16(A's r1), as any function that calls another, so
//! that before it returns it can add the two up. It must have opened a frame for that:
//! it finds A's by the back chain of its own. The mail's own sequence takes r0 as
//! a base register, which means the number 0 there; see `klp::convention` for ours.
//!
//! So from the hand-off until C returns, C's return address and the word add up to A's
//! TOC pointer. Code that changes the return address meanwhile keeps that sum: it
//! changes the word by as much, the other way. The graph tracer does, when it hooks C's
//! return (`tracing::graph`). And nothing may hand the call over a second time, at C's
//! own site, where r2 is not A's: that is why C can't be patched itself.
//!
//! Known price: each replacement must do it; one word per caller's frame, so C can't
//! tail-call out; it writes a word that the ABI reserves.

use super::{Toc, Variant};
use core::{arch::global_asm, mem::offset_of};
use klp::Convention;
use layout::FrameHeader;
use report::Judgement;

/// Why the word is not as it was.
pub(super) const RESERVED: &str = "the hand-off puts TOC - LR there";
/// What a tail call out of C does.
pub(super) const GONE: &str =
    "C is gone without having rebuilt r2, and its stub has put its own r2 into A's frame";

pub static VARIANT: Variant = Variant {
    name: "epilogue",
    about: "C rebuilds r2 from TOC - LR, kept in the reserved word of A's frame",
    convention: Convention::Epilogue,
    hand_off,
    toc: Toc::Own,
    expects: &[
        ("reserved-word", Judgement::Fail, RESERVED),
        ("tail-call-*", Judgement::Fail, GONE),
    ],
    ..Variant::BASIC
};

/// The instructions, for the variants that share them.
pub(super) fn hand_off() -> &'static [u32] {
    machine::code_between!(epilogue_hand_off, epilogue_hand_off_end)
}

// epilogue_hand_off: copied to where it is needed.
//
// On entry: r0 and LR = A's return address, r2 = A's TOC, r1 = A's frame, r12 and
// CTR = C's global entry.
// On exit: at C, with TOC - LR as 32 bits at 12(r1). Clobbers: r11. Stack: none.
global_asm!(
    ".globl epilogue_hand_off, epilogue_hand_off_end",
    "epilogue_hand_off:",
    "subf 11, 0, 2",
    "stw 11, {reserved}(1)",
    "bctr",
    "epilogue_hand_off_end:",
    reserved = const offset_of!(FrameHeader, reserved),
);
