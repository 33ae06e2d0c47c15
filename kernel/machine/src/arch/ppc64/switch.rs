//! The context switch: from one thread's stack to another's.

use super::Stack;
use super::frame::{close_frame_and_return, open_frame};
use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
};
use layout::{CpuEntry, FrameHeader};

/// What a thread that does not run keeps on its stack: r14 to r31. LR and CR are
/// in the frame above, where a callee saves them.
#[repr(C, align(16))]
struct SwitchFrame {
    header: FrameHeader,
    nonvolatile: [u64; 18],
}

/// What [`prepare_stack`] puts on a stack, in bytes.
pub const LEAST_STACK: usize = size_of::<FrameHeader>() + size_of::<SwitchFrame>();

unsafe extern "C" {
    fn switch_context_asm(save: *mut u64, load: u64);
    fn thread_begin_after_call();
}

/// Makes the frames of a thread that has never run, and returns its r1: the first
/// switch to it calls `entry` on its stack.
///
/// # Safety
/// Nothing is on `stack` yet, and it has at least [`LEAST_STACK`] bytes.
#[must_use]
pub unsafe fn prepare_stack(stack: &Stack, entry: extern "C" fn() -> !) -> u64 {
    let base = stack.top() - size_of::<FrameHeader>() as u64;
    let frame = base - size_of::<SwitchFrame>() as u64;
    let mut nonvolatile = [0; 18];
    // r14, for `thread_begin`.
    nonvolatile[0] = entry as usize as u64;
    // SAFETY: both frames lie on the stack, which is memory of its own and large enough,
    // at its top, aligned to 16 as it is.
    unsafe {
        // A zero back chain ends every walk.
        (base as *mut FrameHeader).write(FrameHeader {
            lr_save: thread_begin_after_call as *const () as u64,
            ..FrameHeader::default()
        });
        (frame as *mut SwitchFrame).write(SwitchFrame {
            header: FrameHeader {
                back_chain: base,
                ..FrameHeader::default()
            },
            nonvolatile,
        });
    }
    frame
}

/// Saves the running thread's r1 to `save`, and resumes the thread with the saved r1
/// `load`. Returns when another thread switches back.
///
/// # Safety
/// Interrupts are off. `load` was made by this function or by [`prepare_stack`]
/// and is used once; this CPU's stack bounds are those of the stack that it is on.
#[inline(always)] // it must not be traced: it returns on behalf of another thread
pub unsafe fn switch_context(save: *mut u64, load: u64) {
    // SAFETY: as the caller promises.
    unsafe { switch_context_asm(save, load) }
}

// switch_context_asm(save, load)
//
// On entry: r3 = where to write r1, r4 = another thread's r1.
// On exit: on the other thread's stack, with its nonvolatile registers, CR and LR:
// returns from the call that it made. r2 is the kernel's TOC on both sides, r13 the
// CPU's. Clobbers: what the ABI lets a function clobber.
// Stack: one SwitchFrame, which stays until the thread goes on.
//
// thread_begin_after_call: where a thread's first switch returns to.
//
// On entry: r14 = global entry of a function that does not return, r1 = the base
// frame. On exit: never returns. Stack: the base frame alone.
global_asm!(
    ".globl switch_context_asm",
    ".type switch_context_asm, @function",
    ".balign 16",
    "switch_context_asm:",
    open_frame!(),
    "std 1, 0(3)",
    "mr 1, 4",
    close_frame_and_return!(),
    ".size switch_context_asm, . - switch_context_asm",
    "",
    ".globl thread_begin",
    ".type thread_begin, @function",
    ".balign 16",
    "thread_begin:",
    // In place of a call: a walk takes the word before a return address for one.
    "trap",
    ".globl thread_begin_after_call",
    "thread_begin_after_call:",
    "mr 12, 14",
    "mtctr 12",
    "ld 2, {toc}(13)",
    "bctrl",
    "trap",
    ".size thread_begin, . - thread_begin",
    frame = const size_of::<SwitchFrame>(),
    nonvolatile = const offset_of!(SwitchFrame, nonvolatile),
    lr_save = const offset_of!(FrameHeader, lr_save),
    cr_save = const offset_of!(FrameHeader, cr_save),
    toc = const offset_of!(CpuEntry, toc),
);
