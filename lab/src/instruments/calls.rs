//! Calls in a loop, to count instructions.

use crate::functions::lab_leaf;
use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
};
use layout::{CpuEntry, FrameHeader};

/// Instructions of the loop itself for each call, the call included.
pub const LOOP_INSTRUCTIONS: u64 = 5;

unsafe extern "C" {
    fn call_repeatedly_asm(function: u64, count: u64) -> u64;
    fn bench_plain();
    fn bench_site();
    fn bench_many_000();
}

/// How many functions like `bench_site` there are to be patched, `bench_many_000`
/// being the first.
pub const MANY: usize = 1000;

/// A function that may be called with any arguments and returns at once, so that a call
/// costs what the way there and back does.
#[derive(Clone, Copy, Debug)]
pub enum AtOnce {
    /// `bench_plain`, which has no site.
    Plain,
    /// `bench_site`, which has one.
    Site,
    /// `bench_many_000`, the first of [`MANY`], each with a site.
    Many,
    /// `lab_leaf`, which the conformance cases replace, too.
    Leaf,
}

impl AtOnce {
    /// Its global entry.
    #[must_use]
    pub fn address(self) -> u64 {
        let function = match self {
            Self::Plain => bench_plain as *const (),
            Self::Site => bench_site as *const (),
            Self::Many => bench_many_000 as *const (),
            Self::Leaf => lab_leaf as *const (),
        };
        function as u64
    }
}

/// Calls a function `count` times, at least once, and returns how many timebase ticks
/// that took.
#[must_use]
pub fn call_repeatedly(function: AtOnce, count: u64) -> u64 {
    // SAFETY: the loop keeps the ABI, and the function may be called with any arguments.
    unsafe { call_repeatedly_asm(function.address(), count.max(1)) }
}

#[repr(C, align(16))]
struct LoopFrame {
    header: FrameHeader,
    nonvolatile: [u64; 3],
}

// call_repeatedly_asm(function, count) -> ticks
//
// On entry: r3 = a function's global entry, r4 = how often to call it.
// On exit: r3 = timebase ticks from before the loop to behind it; r2 is the kernel's,
// whatever the function has left there.
// Clobbers: what the ABI lets a function clobber. Stack: one LoopFrame.
global_asm!(
    ".globl call_repeatedly_asm",
    ".type call_repeatedly_asm, @function",
    ".balign 16",
    "call_repeatedly_asm:",
    "mflr 0",
    "std 0, {lr_save}(1)",
    "stdu 1, -{frame}(1)",
    "std 29, {nonvolatile}(1)",
    "std 30, {nonvolatile} + 8(1)",
    "std 31, {nonvolatile} + 16(1)",
    "mr 31, 3",
    "mr 30, 4",
    "mftb 29",
    "1: mr 12, 31",
    "mtctr 12",
    "bctrl",
    "addic. 30, 30, -1",
    "bne 1b",
    "mftb 3",
    "subf 3, 29, 3",
    "ld 2, {toc}(13)",
    "ld 29, {nonvolatile}(1)",
    "ld 30, {nonvolatile} + 8(1)",
    "ld 31, {nonvolatile} + 16(1)",
    "addi 1, 1, {frame}",
    "ld 0, {lr_save}(1)",
    "mtlr 0",
    "blr",
    ".size call_repeatedly_asm, . - call_repeatedly_asm",
    "",
    ".globl bench_plain",
    ".type bench_plain, @function",
    ".balign 16",
    "bench_plain:",
    "blr",
    ".size bench_plain, . - bench_plain",
    "",
    ".globl bench_site",
    ".type bench_site, @function",
    ".balign 16",
    "bench_site:",
    "mflr 0",
    "bl _mcount",
    "blr",
    ".size bench_site, . - bench_site",
    "",
    ".irp a, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
    ".irp b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
    ".irp c, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
    ".globl bench_many_\\a\\b\\c",
    ".type bench_many_\\a\\b\\c, @function",
    ".balign 16",
    "bench_many_\\a\\b\\c:",
    "mflr 0",
    "bl _mcount",
    "blr",
    ".size bench_many_\\a\\b\\c, . - bench_many_\\a\\b\\c",
    ".endr",
    ".endr",
    ".endr",
    lr_save = const offset_of!(FrameHeader, lr_save),
    frame = const size_of::<LoopFrame>(),
    nonvolatile = const offset_of!(LoopFrame, nonvolatile),
    toc = const offset_of!(CpuEntry, toc),
);
