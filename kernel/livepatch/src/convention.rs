//! What the return convention looks like in a replacement.

use core::mem::offset_of;
use layout::FrameHeader;
use ppc64::insn;

/// `add r2,r2,r0`.
const ADD: u32 = 0x7c42_0214;

/// What tells `lwa` from `ld`, which are of one form otherwise (ISA Book I, 3.3.2).
const LWA: u32 = 2;

/// The four instructions of `klp::epilogue!` with a base register: they load the base,
/// r2 from 12 of it and LR from 16 of it, and add the two up.
#[must_use]
pub fn restore(base: u32) -> [u32; 4] {
    [
        insn::ld(base, offset_of!(FrameHeader, back_chain) as i16, 1),
        insn::ld(2, offset_of!(FrameHeader, reserved) as i16, base) | LWA,
        insn::ld(0, offset_of!(FrameHeader, lr_save) as i16, base),
        ADD,
    ]
}
