//! Fills the registers with patterns and watches them under interrupts.

use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
};
use layout::{CpuEntry, FrameHeader};
use machine::arch::{close_frame_and_return, open_frame};

/// The frame of `soak_registers`.
#[repr(C, align(16))]
struct SoakFrame {
    header: FrameHeader,
    /// The caller's r14 to r31.
    nonvolatile: [u64; 18],
    /// r1, r2, r13 and r3 as they must be afterwards.
    keep: [u64; 4],
}

unsafe extern "C" {
    fn soak_registers(until: u64) -> u64;
}

/// Fills all registers that code may use and the red zone with patterns,
/// waits until the timebase reaches `until`, and compares.
///
/// Returns a bit for each that has changed: 0 to 31 for r0 to r31, 32 for CR,
/// 33 for XER, 34 for CTR, 35 for LR, 36 for the red zone.
#[must_use]
pub fn register_soak(until: u64) -> u64 {
    // SAFETY: follows the ABI; see its contract below.
    unsafe { soak_registers(until) }
}

// soak_registers(until) -> changed
//
// On entry: r3 = timebase to wait for.
// On exit: r3 = a bit for each register that did not keep its pattern.
// Clobbers: what the ABI lets a function clobber. r1 and r13 keep their
// values throughout; r3 (deadline), r4 (timebase) and CR0 are the loop's own, and
// r3's value is compared as if it were its pattern.
// Stack: one frame, with r14 to r31; below it the red zone, all of it used.
global_asm!(
    ".globl soak_registers",
    ".type soak_registers, @function",
    ".balign 16",
    "soak_registers:",
    open_frame!(),
    // What r1, r13 and r3 are now is what they must be afterwards; and r2 is no TOC, as
    // it may be in the code of a module.
    "std 1, {keep} + 0(1)",
    "li 2, 0x102",
    "std 2, {keep} + 8(1)",
    "std 13, {keep} + 16(1)",
    "std 3, {keep} + 24(1)",
    // The red zone: its doubleword at -8n holds n.
    "li 5, {zone} / 8",
    "mtctr 5",
    "mr 6, 1",
    "1: mfctr 5",
    "stdu 5, -8(6)",
    "bdnz 1b",
    // Patterns: 0x5a00 + register number in the special ones.
    "lis 5, 0x5a5a",
    "ori 5, 5, 0x1234",
    "mtctr 5",
    "addi 5, 5, 1",
    "mtlr 5",
    "lis 5, 0x2000",
    "mtxer 5",
    "lis 5, 0x0123",
    "ori 5, 5, 0x4567",
    "mtcr 5",
    "li 0, 0x100",
    ".set n, 5",
    ".rept 8",
    "li n, 0x100 + n",
    ".set n, n + 1",
    ".endr",
    ".set n, 14",
    ".rept 18",
    "li n, 0x100 + n",
    ".set n, n + 1",
    ".endr",
    // Nothing but r4 and CR0 changes here.
    "2: mftb 4",
    "cmpld 4, 3",
    "blt 2b",
    // The verdict grows in r4; r3 is free once it has been compared.
    "li 4, 0",
    "cmpldi 0, 0x100",
    "beq 3f",
    "ori 4, 4, 1",
    "3:",
    "ld 0, {keep} + 0(1)",
    "cmpld 1, 0",
    "beq 3f",
    "ori 4, 4, 2",
    "3:",
    "ld 0, {keep} + 8(1)",
    "cmpld 2, 0",
    "beq 3f",
    "ori 4, 4, 4",
    "3:",
    "ld 0, {keep} + 24(1)",
    "cmpld 3, 0",
    "beq 3f",
    "ori 4, 4, 8",
    "3:",
    "ld 0, {keep} + 16(1)",
    "cmpld 13, 0",
    "beq 3f",
    "ori 4, 4, 0x2000",
    "3:",
    ".set n, 5",
    ".rept 8",
    "cmpldi n, 0x100 + n",
    "beq 3f",
    "ori 4, 4, 1 << n",
    "3:",
    ".set n, n + 1",
    ".endr",
    ".set n, 14",
    ".rept 2",
    "cmpldi n, 0x100 + n",
    "beq 3f",
    "ori 4, 4, 1 << n",
    "3:",
    ".set n, n + 1",
    ".endr",
    ".rept 16",
    "cmpldi n, 0x100 + n",
    "beq 3f",
    "oris 4, 4, 1 << (n - 16)",
    "3:",
    ".set n, n + 1",
    ".endr",
    // CR1 to CR7 must hold what was put there; CR0 was the loop's.
    "li 6, 1",
    "sldi 6, 6, 32",
    "mfcr 0",
    "rlwinm 0, 0, 0, 4, 31",
    "lis 5, 0x0123",
    "ori 5, 5, 0x4567",
    "cmplw 0, 5",
    "beq 3f",
    "or 4, 4, 6",
    "3: sldi 6, 6, 1",
    "mfxer 0",
    "lis 5, 0x2000",
    "cmpld 0, 5",
    "beq 3f",
    "or 4, 4, 6",
    "3: sldi 6, 6, 1",
    "lis 5, 0x5a5a",
    "ori 5, 5, 0x1234",
    "mfctr 0",
    "cmpld 0, 5",
    "beq 3f",
    "or 4, 4, 6",
    "3: sldi 6, 6, 1",
    "addi 5, 5, 1",
    "mflr 0",
    "cmpld 0, 5",
    "beq 3f",
    "or 4, 4, 6",
    "3: sldi 6, 6, 1",
    "li 5, {zone} / 8",
    "mtctr 5",
    "mr 7, 1",
    "4: mfctr 5",
    "ldu 0, -8(7)",
    "cmpld 0, 5",
    "beq 3f",
    "or 4, 4, 6",
    "3: bdnz 4b",
    "mr 3, 4",
    "ld 2, {toc}(13)",
    close_frame_and_return!(),
    ".size soak_registers, . - soak_registers",
    toc = const offset_of!(CpuEntry, toc),
    lr_save = const offset_of!(FrameHeader, lr_save),
    cr_save = const offset_of!(FrameHeader, cr_save),
    nonvolatile = const offset_of!(SoakFrame, nonvolatile),
    keep = const offset_of!(SoakFrame, keep),
    frame = const size_of::<SoakFrame>(),
    zone = const layout::RED_ZONE,
);
