//! The stack check at the start of every replacement function.
//!
//! In real mode nothing faults when a stack overruns, and a replacement may well
//! need more of it than the function that it replaces. So it compares r1 with the
//! lowest address that the running stack allows, and traps if r1 is below.
//!
//! # Contract
//! - r13 points at the CPU's [`layout::CpuEntry`], as everywhere in the kernel,
//!   and `stack_floor` there is that of the stack that r1 points into: the kernel
//!   sets it whenever it switches stacks.
//! - Below the floor there is room of [`layout::INTERRUPT_ROOM`] bytes. A function
//!   of a module opens its frame first and checks then, so no frame may be larger
//!   than [`MOST_FRAME`]: half that room, and the rest is for the interrupt that the
//!   check itself raises. Functions without the check are covered by those that
//!   have it, and by every interrupt's own look at the floor.
//! - The trap is a program interrupt with SRR1 bit 46 set (ISA, Book III, 7.5.9),
//!   SRR0 at the instruction [`TRAP`]. What becomes of the thread is the kernel's
//!   decision; the function must not go on.
//!
//! The proof of the linked module (`xtask/src/proof`) shows frame and check.

use core::mem::offset_of;
use layout::CpuEntry;

/// The most bytes that the frame of a module's function may have.
pub const MOST_FRAME: usize = layout::INTERRUPT_ROOM / 2;

/// Where the lowest r1 of the running stack is, in bytes from r13.
pub const FLOOR: usize = offset_of!(CpuEntry, stack_floor);

/// The check's second instruction: `tdllt r1,r11`, trap if r1 is less, both taken
/// without sign (ISA, Book I, 3.3.11).
pub const TRAP: u32 = 0x7c41_5888;

/// Traps if r1 is below the running stack's floor.
///
/// It can't be left out or be moved behind a call, and because it says that it
/// clobbers LR, the frame is open by then.
#[inline(always)]
pub fn check() {
    #[cfg(all(target_arch = "powerpc64", target_os = "none"))]
    // SAFETY: reads a doubleword that r13 leads to, changes r11 alone, and either
    // traps or does nothing.
    unsafe {
        core::arch::asm!(
            "ld 11, {floor}(13)",
            "tdllt 1, 11",
            floor = const FLOOR,
            out("r11") _, out("lr") _,
        );
    }
}
