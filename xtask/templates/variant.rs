//! `my-variant`: say in a sentence who gives A its r2 back, and how.
//!
//! Say here where the idea comes from, and why it should work. As it is, this is
//! `mini-frame` by another name: the hand-off opens a frame between A's and C's and
//! keeps A's r2 in it; C returns to a helper, which takes r2 from there, closes the
//! frame, and returns to A.
//!
//! Known price: say what it costs, and what it breaks.

use super::{Toc, Variant};
use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
};
use klp::Convention;
use layout::FrameHeader;
use report::Judgement;

/// What it does to arguments on the stack.
const SHIFTED: &str = "C takes stack arguments from 32 bytes below where A has put them";
/// What a tail call out of C does.
const OVERWRITTEN: &str = "C's stub puts its own r2 at 24(r1), where A's is kept";

pub static VARIANT: Variant = Variant {
    name: "my-variant",
    about: "a frame between A's and C's keeps r2; C returns through a helper",
    convention: Convention::Plain,
    hand_off,
    toc: Toc::Own,
    expects: &[
        ("arguments-9", Judgement::Fail, SHIFTED),
        ("arguments-10", Judgement::Fail, SHIFTED),
        ("arguments-20", Judgement::Fail, SHIFTED),
        ("variadic-*", Judgement::Fail, SHIFTED),
        ("struct-72", Judgement::Fail, SHIFTED),
        ("tail-call-*", Judgement::Fail, OVERWRITTEN),
    ],
    ..Variant::BASIC
};

fn hand_off() -> &'static [u32] {
    machine::code_between!(my_variant_hand_off, my_variant_hand_off_end)
}

// my_variant_hand_off: copied to where it is needed.
//
// On entry: r0 and LR = A's return address, r2 = A's TOC, r1 = A's frame, r12 and
// CTR = C's global entry.
// On exit: at C, with LR = behind the nop of my_variant_return. Clobbers: r11.
// Stack: one frame header, with A's r2 in it; A's return address is in A's frame.
//
// my_variant_return: where C returns to.
//
// On entry: r1 = the frame of the hand-off. On exit: at A, with its r1, r2 and LR; r3
// and r4 are what C returns. Clobbers: r0.
global_asm!(
    ".globl my_variant_hand_off, my_variant_hand_off_end",
    "my_variant_hand_off:",
    "std 0, {lr_save}(1)",
    "stdu 1, -{frame}(1)",
    "std 2, {toc_save}(1)",
    "lis 11, (my_variant_return + 4)@ha",
    "addi 11, 11, (my_variant_return + 4)@l",
    "mtlr 11",
    "bctr",
    "my_variant_hand_off_end:",
    "",
    ".globl my_variant_return",
    ".type my_variant_return, @function",
    ".balign 16",
    "my_variant_return:",
    // A stack walk looks up the call in front of a return address.
    "nop",
    "ld 2, {toc_save}(1)",
    "addi 1, 1, {frame}",
    "ld 0, {lr_save}(1)",
    "mtlr 0",
    "blr",
    ".size my_variant_return, . - my_variant_return",
    frame = const size_of::<FrameHeader>(),
    lr_save = const offset_of!(FrameHeader, lr_save),
    toc_save = const offset_of!(FrameHeader, toc_save),
);
