//! A call from a caller that checks afterwards whether what it relies on was kept. Unlike
//! `abi`'s, it can be interrupted, and give up the CPU inside.

use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
};
use layout::FrameHeader;
use machine::arch::{close_frame_and_return, open_frame};

/// What a call left of what the ABI says that it keeps (ELFv2 2.2.1.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Kept {
    /// r3.
    pub result: u64,
    /// A bit for each of r0 to r31 that has lost its value, and bit 32 for CR2 to
    /// CR4. Of the first fourteen only r1, r2 and r13 must keep it.
    pub lost: u64,
}

unsafe extern "C" {
    fn call_and_compare(function: u64, argument: u64, kept: *mut Kept);
}

/// Calls `function` with r14 to r31 and CR2 to CR4 full of patterns, as a caller that
/// neither saves nor restores r2: the caller A of the local entry.
///
/// # Safety
/// `function` is the kernel's, its global entry, and takes at most one argument.
#[must_use]
pub unsafe fn kept(function: u64, argument: u64) -> Kept {
    let mut kept = Kept::default();
    // SAFETY: as the caller promises; writes to `kept` alone.
    unsafe { call_and_compare(function, argument, &mut kept) };
    kept
}

#[repr(C, align(16))]
struct KeptFrame {
    header: FrameHeader,
    nonvolatile: [u64; 18],
    /// r1, r2 and r13 before the call, and where the result goes.
    before: [u64; 4],
}

// call_and_compare(function, argument, kept)
//
// On entry: r3 = a function's global entry, r4 = its argument, r5 = a Kept.
// On exit: the Kept is filled in. Clobbers: what the ABI lets a function clobber. If
// the call has lost r1, nothing is right any more, and it traps.
// Stack: one KeptFrame.
global_asm!(
    ".globl call_and_compare",
    ".type call_and_compare, @function",
    ".balign 16",
    "call_and_compare:",
    open_frame!(),
    "std 1, {before}(1)",
    "std 2, {before} + 8(1)",
    "std 13, {before} + 16(1)",
    "std 5, {before} + 24(1)",
    // CR2 to CR4 from the argument, so that threads differ in it; r14 to r31 too.
    "mtcrf 0x38, 4",
    ".set n, 14",
    ".rept 18",
    "addi n, 4, n",
    ".set n, n + 1",
    ".endr",
    "mr 12, 3",
    "mr 3, 4",
    "mtctr 12",
    "bctrl",
    "ld 0, {before}(1)",
    "cmpd 0, 1",
    "bne 9f",
    // r14 says what the argument was, if it was kept; r31 is asked too.
    "addi 4, 14, -14",
    "mfcr 12",
    "li 6, 0",
    "xor 0, 12, 4",
    "rlwinm. 0, 0, 0, 8, 19",
    "beq 1f",
    "li 6, 1",
    "sldi 6, 6, 32",
    "1:",
    "ld 0, {before} + 8(1)",
    "cmpd 0, 2",
    "beq 1f",
    "ori 6, 6, 4",
    "1:",
    "ld 0, {before} + 16(1)",
    "cmpd 0, 13",
    "beq 1f",
    "ori 6, 6, 0x2000",
    "1:",
    ".set n, 14",
    ".rept 2",
    "addi 0, 4, n",
    "cmpd 0, n",
    "beq 1f",
    "ori 6, 6, 1 << n",
    "1:",
    ".set n, n + 1",
    ".endr",
    ".rept 16",
    "addi 0, 4, n",
    "cmpd 0, n",
    "beq 1f",
    "oris 6, 6, 1 << (n - 16)",
    "1:",
    ".set n, n + 1",
    ".endr",
    "ld 5, {before} + 24(1)",
    "std 3, {result}(5)",
    "std 6, {lost}(5)",
    "ld 2, {before} + 8(1)",
    close_frame_and_return!(),
    "9: trap",
    ".size call_and_compare, . - call_and_compare",
    lr_save = const offset_of!(FrameHeader, lr_save),
    cr_save = const offset_of!(FrameHeader, cr_save),
    frame = const size_of::<KeptFrame>(),
    nonvolatile = const offset_of!(KeptFrame, nonvolatile),
    before = const offset_of!(KeptFrame, before),
    result = const offset_of!(Kept, result),
    lost = const offset_of!(Kept, lost),
);
