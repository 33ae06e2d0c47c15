//! `mini-frame`: the hand-off opens a frame of its own, and C returns through a
//! helper that closes it.
//!
//! Torsten Duwe, linuxppc-dev, January to March 2016, `klp_return_helper`: A's r2 is
//! kept where a caller keeps it, at 24(r1), but of a minimal frame that is opened
//! between A's and C's. C returns to the helper, which loads r2 from there, closes
//! the frame, and returns to A.
//!
//! Known price: C looks for the arguments that A has passed on its stack 32 bytes below
//! where they are, for it looks at a fixed distance above the r1 that it was called
//! with, which is the mini frame's now and not A's. So functions of more than eight
//! arguments, and with variable ones, get wrong arguments. Frame and helper cost what
//! they cost, and show up in every stack walk.

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

pub static VARIANT: Variant = Variant {
    name: "mini-frame",
    about: "a frame between A's and C's keeps r2; C returns through a helper",
    convention: Convention::Plain,
    hand_off,
    toc: Toc::Own,
    expects: &[
        ("arguments-9", Judgement::Fail, SHIFTED),
        ("arguments-10", Judgement::Fail, SHIFTED),
        ("arguments-20", Judgement::Fail, SHIFTED),
        ("struct-72", Judgement::Fail, SHIFTED),
        ("variadic-fixed", Judgement::Fail, SHIFTED),
        (
            "variadic-list",
            Judgement::Fail,
            "C stores the arguments from its registers where it takes A's parameter save area \
             to be, which is A's frame header, return address and all",
        ),
        (
            "tail-call-*",
            Judgement::Fail,
            "C's stub puts its own r2 at 24(r1), where the mini frame keeps A's",
        ),
    ],
    ..Variant::BASIC
};

fn hand_off() -> &'static [u32] {
    machine::code_between!(mini_frame_hand_off, mini_frame_hand_off_end)
}

// mini_frame_hand_off: copied to where it is needed.
//
// On entry: r0 and LR = A's return address, r2 = A's TOC, r1 = A's frame, r12 and
// CTR = C's global entry.
// On exit: at C, with LR = behind the nop of mini_frame_return. Clobbers: r11.
// Stack: one frame header, with A's r2 in it; A's return address is in A's frame.
//
// mini_frame_return: where C returns to.
//
// On entry: r1 = the mini frame. On exit: at A, with its r1, r2 and LR; r3 and r4 are
// what C returns. Clobbers: r0.
global_asm!(
    ".globl mini_frame_hand_off, mini_frame_hand_off_end",
    "mini_frame_hand_off:",
    "std 0, {lr_save}(1)",
    "stdu 1, -{frame}(1)",
    "std 2, {toc_save}(1)",
    "lis 11, (mini_frame_return + 4)@ha",
    "addi 11, 11, (mini_frame_return + 4)@l",
    "mtlr 11",
    "bctr",
    "mini_frame_hand_off_end:",
    "",
    ".globl mini_frame_return",
    ".type mini_frame_return, @function",
    ".balign 16",
    "mini_frame_return:",
    // A stack walk looks up the call in front of a return address.
    "nop",
    "ld 2, {toc_save}(1)",
    "addi 1, 1, {frame}",
    "ld 0, {lr_save}(1)",
    "mtlr 0",
    "blr",
    ".size mini_frame_return, . - mini_frame_return",
    frame = const size_of::<FrameHeader>(),
    lr_save = const offset_of!(FrameHeader, lr_save),
    toc_save = const offset_of!(FrameHeader, toc_save),
);
