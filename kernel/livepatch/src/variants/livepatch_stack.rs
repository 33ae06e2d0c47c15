//! `livepatch-stack`: a stack of its own keeps what A needs.
//!
//! Michael Ellerman, linuxppc-dev, April 2016, and in Linux since
//! (`arch/powerpc/kernel/trace/ftrace_entry.S`, livepatch_handler): beside each thread's
//! stack a second one grows upwards. The hand-off
//! pushes A's r2 and its return address, and C returns to code that pops them. No frame,
//! so arguments stay where they are, and C is an ordinary function.
//!
//! Linux pushes a constant besides, to notice a pop that has gone wrong. Here it is A's r1: it
//! must be the same when C returns, and a stack walk finds an entry by it. And Linux
//! has no bound: its two stacks share their memory. Here a page that is not there lies between them, and
//! the push that would leave this one faults.
//!
//! Known price: 24 bytes for each call that has not returned; a walk
//! must look into the second one for the real return address; and a module's stub in a tail
//! call still writes r2 into A's frame.

use super::{Toc, Variant};
use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
};
use klp::Convention;
use layout::{CpuEntry, FrameHeader};
use report::Judgement;
use thread::{
    Kept, Thread,
    backtrace::{Real, Returns},
};

pub static VARIANT: Variant = Variant {
    name: "livepatch-stack",
    about: "r2 and LR on a second stack of the thread",
    convention: Convention::Plain,
    hand_off,
    toc: Toc::Own,
    returns: Some(&Returns {
        helper: livepatch_stack_return,
        real: Real::Listed(kept),
    }),
    expects: &[(
        "tail-call-*",
        Judgement::Fail,
        "C's stub puts its own r2 at 24(r1) of A's frame, from where A may take its r2 later",
    )],
    ..Variant::BASIC
};

/// What it keeps of a call.
#[repr(C)]
struct Entry {
    toc: u64,
    lr: u64,
    /// A's r1.
    frame: u64,
}

unsafe extern "C" {
    fn livepatch_stack_return();
}

fn hand_off() -> &'static [u32] {
    machine::code_between!(livepatch_stack_hand_off, livepatch_stack_hand_off_end)
}

/// The n-th entry from the innermost, of a thread that does not run meanwhile.
fn kept(thread: &Thread, n: usize) -> Option<Kept> {
    let (base, top) = thread.livepatch_stack();
    let entry = top.checked_sub((n as u64 + 1) * size_of::<Entry>() as u64)?;
    if entry < base {
        return None;
    }
    // The hand-off raises the top first, and faults then if the stack was full: this one was never there.
    if entry + size_of::<Entry>() as u64 > thread.stack().guard() {
        return Some(Kept {
            slot: 0,
            address: 0,
        });
    }
    // SAFETY: an entry of the thread's livepatch stack, which stays as it is while the
    // thread does not run. Any bits are an `Entry`.
    let entry = unsafe { &*(entry as *const Entry) };
    Some(Kept {
        slot: entry
            .frame
            .wrapping_add(offset_of!(FrameHeader, lr_save) as u64),
        address: entry.lr,
    })
}

// livepatch_stack_hand_off: copied to where it is needed.
//
// On entry: r0 and LR = A's return address, r2 = A's TOC, r1 = A's frame, r12 and
// CTR = C's global entry, r13 = this CPU's CpuEntry.
// On exit: at C, with LR = livepatch_stack_return. Faults if the livepatch stack is full. Clobbers: r11.
// Stack: one Entry on the livepatch stack.
//
// livepatch_stack_return: where C returns to.
//
// On entry: r1 = A's frame. On exit: at A, with its r2 and LR; r3 and r4 are what C
// returns. Traps if the entry is of another frame. Clobbers: r0, r11.
global_asm!(
    ".globl livepatch_stack_hand_off, livepatch_stack_hand_off_end",
    "livepatch_stack_hand_off:",
    // Taken before it is filled in, so that an interrupt in between pushes above it.
    "ld 11, {top}(13)",
    "addi 11, 11, {entry}",
    "std 11, {top}(13)",
    "std 2, {toc} - {entry}(11)",
    "std 0, {lr} - {entry}(11)",
    "std 1, {frame} - {entry}(11)",
    "lis 11, livepatch_stack_return@ha",
    "addi 11, 11, livepatch_stack_return@l",
    "mtlr 11",
    "bctr",
    "livepatch_stack_hand_off_end:",
    "",
    ".globl livepatch_stack_return",
    ".type livepatch_stack_return, @function",
    ".balign 16",
    // A stack walk looks up the call in front of a return address.
    "nop",
    "livepatch_stack_return:",
    "ld 11, {top}(13)",
    "ld 2, {frame} - {entry}(11)",
    "tdne 2, 1",
    "ld 0, {lr} - {entry}(11)",
    "ld 2, {toc} - {entry}(11)",
    // Given back last: until then an interrupt pushes above it.
    "addi 11, 11, -{entry}",
    "std 11, {top}(13)",
    "mtlr 0",
    "blr",
    ".size livepatch_stack_return, . - livepatch_stack_return",
    entry = const size_of::<Entry>(),
    toc = const offset_of!(Entry, toc),
    lr = const offset_of!(Entry, lr),
    frame = const offset_of!(Entry, frame),
    top = const offset_of!(CpuEntry, livepatch_stack),
);
