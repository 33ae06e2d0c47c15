//! Faults that need not end the run: those of a patch, in a thread of its own.
//!
//! The thread is stopped for good and the others go on. That takes that the fault
//! lies in code of a patch, or in what that has called; that no lock was held,
//! which shows in interrupts being on; that no interrupt was being handled; that
//! the thread is neither the main nor the idle one; and that its stack, if it was
//! overrun, was not left at its low end. In real mode nothing else tells whether
//! memory of others was written to.

use super::{backtrace, end};
use crate::{arch, stack, sync::Hook, thread};
use layout::TrapFrame;
use ppc64::msr;

/// Says whether the code at these addresses, the innermost first, makes a fault a
/// patch's; and takes note of it, so that the patch is reversed.
pub type Judge = fn(&mut dyn Iterator<Item = u64>) -> bool;

static JUDGE: Hook<Judge> = Hook::new();

/// Sets who says whose fault a fault is. Returns who did before.
pub fn judged_by(judge: Judge) -> Option<Judge> {
    JUDGE.replace(Some(judge))
}

/// Whether the thread that `frame` describes can be stopped and the rest go on.
pub(super) fn is_possible(frame: &TrapFrame) -> bool {
    // The main thread gives the verdict, and the idle one must be there.
    let is_ordinary = thread::with_current(|thread| thread.id() > 1).unwrap_or(false);
    if !is_ordinary || frame.msr & msr::EE == 0 || !stack::lowest_is_intact() {
        return false;
    }
    let (bottom, top) = stack::running();
    if !(bottom..=top).contains(&frame.gpr[1]) {
        return false;
    }
    let Some(judge) = JUDGE.get() else {
        return false;
    };
    // SAFETY: nothing runs on the thread's stack but this report, which is below
    // the frames that are walked, or on another stack.
    let steps = unsafe { backtrace::steps(frame.gpr[1], frame.vector != 0) };
    let first = [frame.nip, frame.lr.wrapping_sub(4)];
    judge(&mut first.into_iter().chain(steps.map(|step| step.place())))
}

/// Stops the running thread.
pub(super) fn stop_thread() -> ! {
    thread::with_current(|thread| {
        println!("thread `{}` is stopped; the others go on", thread.name());
    });
    end();
    arch::interrupts_off().for_good();
    thread::end_stopped()
}
