//! The registers as they are now, for a panic's report.

use core::{arch::global_asm, mem::offset_of};
use layout::{FrameHeader, TrapFrame, gpr_offset};

unsafe extern "C" {
    fn capture_registers(frame: *mut TrapFrame);
}

/// Fills in all registers as they are at the call. `nip` is the address it
/// returns to; vector, DAR and DSISR are left alone.
///
/// Always inlined, so that r1 is the frame of a function that is still running
/// when its stack is walked.
#[inline(always)]
pub fn capture(frame: &mut TrapFrame) {
    // SAFETY: writes to the frame and nowhere else.
    unsafe { capture_registers(frame) };
}

// capture_registers(frame)
//
// On entry: r3 = a TrapFrame to fill.
// On exit: gpr, nip, msr, ctr, lr, xer, cr and the back chain are filled in as
// they were at the call, with nip = LR and r3 lost.
// Clobbers: r0. Stack: none.
global_asm!(
    ".globl capture_registers",
    ".type capture_registers, @function",
    ".balign 16",
    "capture_registers:",
    ".set n, 0",
    ".rept 32",
    "std n, {gpr} + 8 * n(3)",
    ".set n, n + 1",
    ".endr",
    "std 1, {back_chain}(3)",
    "mflr 0",
    "std 0, {nip}(3)",
    "std 0, {lr}(3)",
    "mfmsr 0",
    "std 0, {msr}(3)",
    "mfctr 0",
    "std 0, {ctr}(3)",
    "mfxer 0",
    "std 0, {xer}(3)",
    "mfcr 0",
    "std 0, {cr}(3)",
    "blr",
    ".size capture_registers, . - capture_registers",
    gpr = const gpr_offset(0),
    back_chain = const offset_of!(FrameHeader, back_chain),
    nip = const offset_of!(TrapFrame, nip),
    msr = const offset_of!(TrapFrame, msr),
    ctr = const offset_of!(TrapFrame, ctr),
    lr = const offset_of!(TrapFrame, lr),
    xer = const offset_of!(TrapFrame, xer),
    cr = const offset_of!(TrapFrame, cr),
);
