//! A call with every register under watch.

use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
};
use layout::{CpuEntry, FrameHeader};
use machine::arch::{close_frame_and_return, open_frame};

/// Registers at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Registers {
    /// r0 to r31.
    pub gpr: [u64; 32],
    /// The condition register.
    pub cr: u64,
    /// The link register.
    pub lr: u64,
    /// The count register.
    pub ctr: u64,
    /// The fixed-point exception register.
    pub xer: u64,
    /// The machine state register.
    pub msr: u64,
}

/// What a watched call saw.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Watched {
    /// As the caller set them, right before the call.
    pub before: Registers,
    /// As the callee found them, behind its site.
    pub arrived: Registers,
    /// As the caller found them afterwards.
    pub after: Registers,
    /// The two doublewords that the caller put where a ninth and a tenth
    /// argument go, as the callee found them.
    pub arguments: [u64; 2],
}

/// What the stack arguments are.
pub const STACK_ARGUMENTS: [u64; 2] = [0x909, 0xa0a];

unsafe extern "C" {
    fn watched_call_asm(watched: *mut Watched);
    /// The callee. It begins as gcc's functions do, and so has a site.
    fn watched_callee();
}

/// Address of the callee, to find its site.
#[must_use]
pub fn watched_callee_address() -> u64 {
    watched_callee as *const () as u64
}

/// Fills r2 to r12, r14 to r31, CR, CTR and XER with patterns that are all different,
/// calls the callee, and returns what both sides saw.
#[must_use]
pub fn watched_call() -> Watched {
    let mut watched = Watched::default();
    // SAFETY: writes to `watched` alone, and follows the ABI otherwise.
    unsafe { watched_call_asm(&mut watched) };
    watched
}

/// The caller's frame: header, parameter save area of ten, nonvolatile registers.
#[repr(C, align(16))]
struct CallerFrame {
    header: FrameHeader,
    parameters: [u64; 10],
    nonvolatile: [u64; 18],
    toc: u64,
    watched: u64,
}

// watched_call_asm(watched)
//
// On entry: r3 = a Watched to fill.
// On exit: filled in. Clobbers: what the ABI lets a function clobber.
// Stack: one CallerFrame. While the patterns are in place, scratch[0] of the
// CpuEntry holds r3's argument; interrupts must be off, for they use it too.
//
// watched_callee()
//
// On entry: anything; scratch[0] of the CpuEntry = a Watched.
// On exit: `arrived` and `arguments` are filled in; r0 is lost. Stack: none.
global_asm!(
    ".macro store_registers at",
    ".set n, 0",
    ".rept 12",
    "std n, \\at + 8 * n(12)",
    ".set n, n + 1",
    ".endr",
    "ld 0, {scratch} + 8(13)",
    "std 0, \\at + 8 * 12(12)",
    ".set n, 13",
    ".rept 19",
    "std n, \\at + 8 * n(12)",
    ".set n, n + 1",
    ".endr",
    "mfcr 0",
    "std 0, \\at + {cr}(12)",
    "mflr 0",
    "std 0, \\at + {lr}(12)",
    "mfctr 0",
    "std 0, \\at + {ctr}(12)",
    "mfxer 0",
    "std 0, \\at + {xer}(12)",
    "mfmsr 0",
    "std 0, \\at + {msr}(12)",
    ".endm",

    ".globl watched_callee",
    ".type watched_callee, @function",
    ".balign 16",
    "watched_callee:",
    "mflr 0",
    "bl _mcount",
    "std 12, {scratch} + 8(13)",
    "ld 12, {scratch}(13)",
    "store_registers {arrived}",
    "ld 0, {parameters} + 8 * 8(1)",
    "std 0, {arguments}(12)",
    "ld 0, {parameters} + 8 * 9(1)",
    "std 0, {arguments} + 8(12)",
    "ld 12, {scratch} + 8(13)",
    "blr",
    ".size watched_callee, . - watched_callee",

    ".globl watched_call_asm",
    ".type watched_call_asm, @function",
    ".balign 16",
    "watched_call_asm:",
    open_frame!(),
    "std 2, {toc}(1)",
    "std 3, {watched}(1)",
    "std 3, {scratch}(13)",
    "li 4, {nine}",
    "std 4, {parameters} + 8 * 8(1)",
    "li 4, {ten}",
    "std 4, {parameters} + 8 * 9(1)",
    "lis 4, 0x7654",
    "ori 4, 4, 0x3210",
    "mtcr 4",
    "li 4, 0x5a20",
    "mtctr 4",
    // CA and CA32 alone: other bits need not be there.
    "lis 4, 0x2004",
    "mtxer 4",
    ".set n, 2",
    ".rept 11",
    "li n, 0x5a00 + n",
    ".set n, n + 1",
    ".endr",
    ".set n, 14",
    ".rept 18",
    "li n, 0x5a00 + n",
    ".set n, n + 1",
    ".endr",
    "li 0, 0x5a00",
    "std 12, {scratch} + 8(13)",
    "ld 12, {scratch}(13)",
    "store_registers {before}",
    "ld 12, {scratch} + 8(13)",
    "bl watched_callee",
    "std 12, {scratch} + 8(13)",
    "ld 12, {watched}(1)",
    "store_registers {after}",
    "ld 2, {toc}(1)",
    close_frame_and_return!(),
    ".size watched_call_asm, . - watched_call_asm",
    scratch = const offset_of!(CpuEntry, scratch),
    cr = const offset_of!(Registers, cr),
    lr = const offset_of!(Registers, lr),
    ctr = const offset_of!(Registers, ctr),
    xer = const offset_of!(Registers, xer),
    msr = const offset_of!(Registers, msr),
    before = const offset_of!(Watched, before),
    arrived = const offset_of!(Watched, arrived),
    after = const offset_of!(Watched, after),
    arguments = const offset_of!(Watched, arguments),
    lr_save = const offset_of!(FrameHeader, lr_save),
    cr_save = const offset_of!(FrameHeader, cr_save),
    frame = const size_of::<CallerFrame>(),
    parameters = const offset_of!(CallerFrame, parameters),
    nonvolatile = const offset_of!(CallerFrame, nonvolatile),
    toc = const offset_of!(CallerFrame, toc),
    watched = const offset_of!(CallerFrame, watched),
    nine = const STACK_ARGUMENTS[0],
    ten = const STACK_ARGUMENTS[1],
);
