//! `livepatch-stack`: a second stack keeps what A needs.
//!
//! Michael Ellerman, linuxppc-dev, April 2016, and in Linux since
//! (`arch/powerpc/kernel/trace/ftrace_entry.S`, livepatch_handler): at the low end of
//! each thread's stack, above the guard, a second stack grows upwards. The hand-off
//! pushes A's r2, its return address and a marker, and C returns to code that pops
//! them. No frame, so arguments stay where they are, and C is an ordinary function.
//!
//! Known price: 24 bytes of the second stack for each call that has not returned, and
//! room for [`CALLS`] of them kept free in every thread's stack; a walk must look into
//! the second one for the real return address; and a module's stub in a tail call still
//! writes r2 into A's frame.

use super::{Toc, Variant};
use crate::{backtrace::Returns, thread::Thread};
use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
};
use klp::Convention;
use layout::CpuEntry;
use report::Judgement;

pub static VARIANT: Variant = Variant {
    name: "livepatch-stack",
    about: "r2 and LR on a second stack at the low end of the thread's",
    convention: Convention::Plain,
    hand_off,
    toc: Toc::Own,
    returns: || {
        Some(Returns {
            helper: livepatch_stack_return as *const () as u64,
            real,
        })
    },
    thread_bytes: CALLS * size_of::<Entry>(),
    expects: &[(
        "tail-call-*",
        Judgement::Fail,
        "C's stub puts its own r2 at 24(r1) of A's frame, from where A may take its r2 later",
    )],
    ..Variant::BASIC
};

/// What the second stack holds of each call.
#[repr(C)]
struct Entry {
    toc: u64,
    lr: u64,
    marker: u64,
}

/// Calls that the second stack has room for at least.
const CALLS: usize = 256;

/// What [`Entry::marker`] holds: a pop that finds another value has gone wrong. Small
/// enough for one instruction to make it, and one to compare with it.
const MARKER: u64 = 0x5eed;

unsafe extern "C" {
    fn livepatch_stack_return();
}

fn hand_off() -> &'static [u32] {
    crate::code_between!(livepatch_stack_hand_off, livepatch_stack_hand_off_end)
}

/// The n-th real return address from the innermost, of a thread that does not run
/// meanwhile.
fn real(thread: &Thread, n: usize) -> Option<u64> {
    let (base, top) = thread.second_stack();
    let entry = top.checked_sub((n as u64 + 1) * size_of::<Entry>() as u64)?;
    if entry < base {
        return None;
    }
    // SAFETY: an entry of the thread's second stack, which stays as it is while the
    // thread does not run.
    let entry = unsafe { &*(entry as *const Entry) };
    (entry.marker == MARKER).then_some(entry.lr)
}

// livepatch_stack_hand_off: copied to where it is needed.
//
// On entry: r0 and LR = A's return address, r2 = A's TOC, r1 = A's frame, r12 and
// CTR = C's global entry, r13 = this CPU's CpuEntry.
// On exit: at C, with LR = livepatch_stack_return. Clobbers: r11.
// Stack: one Entry on the second stack. It is taken before it is filled, so that an
// interrupt in between pushes above it.
//
// livepatch_stack_return: where C returns to.
//
// On entry: r1 = A's frame. On exit: at A, with its r2 and LR; r3 and r4 are what C
// returns. Traps if the entry is none. Clobbers: r0, r11, r12.
global_asm!(
    ".globl livepatch_stack_hand_off, livepatch_stack_hand_off_end",
    "livepatch_stack_hand_off:",
    "ld 11, {second_stack}(13)",
    "addi 11, 11, {entry}",
    "std 11, {second_stack}(13)",
    "std 2, {toc} - {entry}(11)",
    "std 0, {lr} - {entry}(11)",
    "li 0, {marker}",
    "std 0, {mark} - {entry}(11)",
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
    "ld 11, {second_stack}(13)",
    "addi 12, 11, -{entry}",
    "ld 2, {mark}(12)",
    "tdnei 2, {marker}",
    "ld 0, {lr}(12)",
    "ld 2, {toc}(12)",
    "std 12, {second_stack}(13)",
    "mtlr 0",
    "blr",
    ".size livepatch_stack_return, . - livepatch_stack_return",
    entry = const size_of::<Entry>(),
    toc = const offset_of!(Entry, toc),
    lr = const offset_of!(Entry, lr),
    mark = const offset_of!(Entry, marker),
    marker = const MARKER,
    second_stack = const offset_of!(CpuEntry, second_stack),
);
