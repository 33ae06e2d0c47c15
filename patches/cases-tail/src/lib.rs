//! A replacement that leaves by a tail call into the kernel, as a compiler would make
//! one: the control that shows what such a call does to its caller. It follows no
//! return convention, and the proof must find that.
#![no_std]

use core::{arch::global_asm, mem::offset_of};
use klp::{Convention, convention::FrameHeader};

klp::module! {
    name: "cases-tail",
    replaces: [
        "lab::functions::tail_out" => tail_out,
        "lab::functions::hold" => hold,
    ],
}

unsafe extern "C" {
    /// Calls `lab_twice`.
    pub unsafe fn tail_out(value: u64) -> u64;
}

klp::replacement! {
    /// Holds no thread.
    pub extern "C" fn hold(_what: *const ()) -> u64 {
        1
    }
}

// tail_out(value)
//
// On entry: r12 = its global entry, LR = the caller's return address, r1 = the
// caller's frame.
// On exit: in lab_twice, with r3, r1 and LR as they were and r12 = its global entry.
// 24(r1) of the caller's frame holds this module's r2, as the stub of a call by a PLT
// entry leaves it (ELFv2 4.2.5.3). PC-relative code has no r2 to save, and its stub
// saves none.
// Clobbers: r2, r12, CTR. Stack: none.
global_asm!(
    ".section .text.tail_out, \"ax\", @progbits",
    ".globl tail_out",
    ".type tail_out, @function",
    ".balign 16",
    "tail_out:",
    "0: addis 2, 12, .TOC. - 0b@ha",
    "addi 2, 2, .TOC. - 0b@l",
    ".localentry tail_out, . - tail_out",
    ".if {saves}",
    "std 2, {toc_save}(1)",
    ".endif",
    "addis 12, 2, 9f@toc@ha",
    "ld 12, 9f@toc@l(12)",
    "mtctr 12",
    "bctr",
    ".size tail_out, . - tail_out",
    ".section .toc, \"aw\", @progbits",
    ".balign 8",
    "9: .quad lab_twice",
    ".text",
    saves = const !matches!(klp::CONVENTION, Convention::Pcrel) as u32,
    toc_save = const offset_of!(FrameHeader, toc_save),
);
