//! Calls a replacement function the way it is reached after a hand-off: by a local call,
//! from a caller that neither saves r2 nor restores it.

use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
};
use layout::FrameHeader;

/// What such a call is given, and what came of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct HandedOver {
    /// Up to twelve arguments: eight in r3 to r10, the rest on the stack.
    pub arguments: [u64; 12],
    /// r3 and r4 afterwards.
    pub results: [u64; 2],
    /// r2 before the call: the caller's TOC.
    pub toc_before: u64,
    /// r2 afterwards: the same, if the return convention was followed.
    pub toc_after: u64,
    /// r1 afterwards, minus r1 before.
    pub stack_moved: u64,
}

unsafe extern "C" {
    fn call_handed_over(function: u64, call: *mut HandedOver);
}

/// Calls `function` with `call`'s arguments, leaving TOC minus return address at
/// 12(r1) for [`klp::Convention::Epilogue`], and fills in the rest of `call`.
///
/// # Safety
/// `function` is the global entry of a function that these arguments may be
/// passed to, and that follows the ABI but for r2.
pub unsafe fn handed_over(function: u64, call: &mut HandedOver) {
    // SAFETY: as the caller promises.
    unsafe { call_handed_over(function, call) }
}

/// The caller's frame: header, parameter save area of twelve.
#[repr(C, align(16))]
struct Frame {
    header: FrameHeader,
    parameters: [u64; 12],
    nonvolatile: [u64; 3],
}

// call_handed_over(function, call)
//
// On entry: r3 = a function's global entry, r4 = a HandedOver.
// On exit: the HandedOver is filled in. Clobbers: what the ABI lets a function
// clobber; r2 is the caller's whatever the function did to it.
// Stack: one Frame, with TOC minus return address in its reserved word.
global_asm!(
    ".globl call_handed_over",
    ".type call_handed_over, @function",
    ".balign 16",
    "call_handed_over:",
    "mflr 0",
    "std 0, {lr_save}(1)",
    "stdu 1, -{frame}(1)",
    "std 29, {nonvolatile}(1)",
    "std 30, {nonvolatile} + 8(1)",
    "std 31, {nonvolatile} + 16(1)",
    "mr 31, 4",
    "mr 30, 2",
    "mr 29, 1",
    "std 2, {toc_before}(31)",
    "mr 12, 3",
    "mtctr 12",
    // The stack arguments, then the registers.
    ".set n, 8",
    ".rept 4",
    "ld 0, {arguments} + 8 * n(31)",
    "std 0, {parameters} + 8 * n(1)",
    ".set n, n + 1",
    ".endr",
    "lis 11, 1f@ha",
    "addi 11, 11, 1f@l",
    "subf 0, 11, 2",
    "stw 0, {reserved}(1)",
    ".set n, 0",
    ".rept 8",
    "ld n + 3, {arguments} + 8 * n(31)",
    ".set n, n + 1",
    ".endr",
    "bctrl",
    "1:",
    "std 3, {results}(31)",
    "std 4, {results} + 8(31)",
    "std 2, {toc_after}(31)",
    "mr 2, 30",
    "subf 0, 29, 1",
    "std 0, {stack_moved}(31)",
    "mr 1, 29",
    "ld 29, {nonvolatile}(1)",
    "ld 30, {nonvolatile} + 8(1)",
    "ld 31, {nonvolatile} + 16(1)",
    "addi 1, 1, {frame}",
    "ld 0, {lr_save}(1)",
    "mtlr 0",
    "blr",
    ".size call_handed_over, . - call_handed_over",
    lr_save = const offset_of!(FrameHeader, lr_save),
    reserved = const offset_of!(FrameHeader, reserved),
    frame = const size_of::<Frame>(),
    parameters = const offset_of!(Frame, parameters),
    nonvolatile = const offset_of!(Frame, nonvolatile),
    arguments = const offset_of!(HandedOver, arguments),
    results = const offset_of!(HandedOver, results),
    toc_before = const offset_of!(HandedOver, toc_before),
    toc_after = const offset_of!(HandedOver, toc_after),
    stack_moved = const offset_of!(HandedOver, stack_moved),
);
