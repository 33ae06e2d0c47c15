//! A function that does one thing that a function must not do: what the ABI
//! sanitiser is tested with.

use super::sanitiser::{CallerFrame, What};
use core::{arch::global_asm, mem::offset_of};
use layout::FrameHeader;

unsafe extern "C" {
    fn damage_asm(what: u64);
}

/// Address of the function. Its argument is a place in [`DAMAGE`]. Interrupts are off when it is called, for it may leave no stack.
#[must_use]
pub fn damage_address() -> u64 {
    damage_asm as *const () as u64
}

/// What it does to what. It may change what is `None`: those registers are its own.
pub const DAMAGE: [Option<What>; 40] = {
    let mut all = [None; 40];
    let mut n = 0;
    while n < 32 {
        if n == 1 || n == 2 || n >= 13 {
            all[n] = Some(What::Register(n as u8));
        }
        n += 1;
    }
    all[32] = Some(What::ConditionFields);
    all[33] = Some(What::ConditionFields);
    all[34] = Some(What::ConditionFields);
    // CR1.
    all[35] = None;
    all[36] = Some(What::BackChain);
    all[37] = Some(What::Reserved);
    all[38] = Some(What::TocSave);
    all[39] = Some(What::Own(0));
    all
};

// damage_asm(what)
//
// On entry: r3 = what to damage, as in `DAMAGE`; r1 = a CallerFrame.
// On exit: it has been damaged. Clobbers: r0, r11, r12, CTR. Stack: none.
global_asm!(
    ".globl damage_asm",
    ".type damage_asm, @function",
    ".balign 16",
    "damage_asm:",
    "lis 11, 1f@ha",
    "addi 11, 11, 1f@l",
    // Four words each.
    "sldi 12, 3, 4",
    "add 11, 11, 12",
    "mtctr 11",
    "li 0, 0",
    "bctr",
    ".balign 16",
    "1:",
    ".set n, 0",
    ".rept 32",
    "addi n, n, 16",
    "blr",
    "nop",
    "nop",
    ".set n, n + 1",
    ".endr",
    // CR2, CR3, CR4, and CR1.
    ".irp mask, 0x20, 0x10, 0x08, 0x40",
    "mtcrf \\mask, 0",
    "blr",
    "nop",
    "nop",
    ".endr",
    "std 0, {back_chain}(1)",
    "blr",
    "nop",
    "nop",
    "stw 0, {reserved}(1)",
    "blr",
    "nop",
    "nop",
    "std 0, {toc_save}(1)",
    "blr",
    "nop",
    "nop",
    "std 0, {own}(1)",
    "blr",
    ".size damage_asm, . - damage_asm",
    back_chain = const offset_of!(FrameHeader, back_chain),
    reserved = const offset_of!(FrameHeader, reserved),
    toc_save = const offset_of!(FrameHeader, toc_save),
    own = const offset_of!(CallerFrame, own),
);
