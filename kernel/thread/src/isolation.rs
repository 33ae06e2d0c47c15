//! What a fault's report says of threads: the backtrace; and faults that need not end the
//! run, those of a patch in a thread of its own.
//!
//! Such a thread is stopped for good and the others go on. That takes that the fault
//! lies in code of a patch, or in what that has called; that no lock was held,
//! which shows in interrupts being on; that no interrupt was being handled; that
//! the thread is neither the main nor the idle one; and in real mode that its stack, if it was
//! overrun, was not left at its low end: nothing else tells there whether memory of others was
//! written to. With translation on, the guard is a page that is not there, and nothing was.

use crate as thread;
use crate::backtrace::{self, What};
use layout::TrapFrame;
use machine::{
    arch,
    fault::{self, Threads},
    stack,
    symbols::Place,
    sync::Hook,
};
use ppc64::msr;

/// Longest backtrace.
const FRAMES: usize = 32;

/// Lets reports of faults know of threads.
pub fn start() {
    fault::set_threads(Threads {
        print_backtrace,
        can_end_alone: is_possible,
        end_alone: stop_thread,
    });
}

/// Says whether the code at these addresses, the innermost first, makes a fault a
/// patch's; and takes note of it, so that the patch is reversed.
pub type Judge = fn(&mut dyn Iterator<Item = u64>) -> bool;

static JUDGE: Hook<Judge> = Hook::new();

/// Sets the judge: it decides whether a patch caused a fault. Returns the previous one.
pub fn judged_by(judge: Judge) -> Option<Judge> {
    JUDGE.replace(Some(judge))
}

/// Whether the thread that `frame` describes can be stopped and the rest go on.
fn is_possible(frame: &TrapFrame) -> bool {
    // The main thread gives the verdict, and the idle one must be there.
    let is_ordinary =
        thread::with_current(|thread| thread.id() != 0 && !thread.is_idle()).unwrap_or(false);
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
fn stop_thread() -> ! {
    thread::with_current(|thread| {
        println!("thread `{}` is stopped; the others go on", thread.name());
    });
    fault::end_report();
    arch::interrupts_off().for_good();
    thread::end_stopped()
}

fn print_backtrace(frame: &TrapFrame) {
    thread::with_current(|thread| println!("thread: {}-{}", thread.name(), thread.id()));
    println!("backtrace:");
    println!("   {:016x}  {}", frame.nip, Place(frame.nip));
    // SAFETY: nothing runs on the stack of `frame` but this report, which is
    // below the frames that it walks, or on another stack.
    let steps = unsafe { backtrace::steps(frame.gpr[1], frame.vector != 0) };
    let mut steps = backtrace::folded(steps);
    for folded in steps.by_ref().take(FRAMES) {
        let step = folded.step;
        print!("   {:016x}  {}", step.code, Place(step.place()));
        match step.what {
            What::Call => println!(),
            What::PerhapsStale => println!(" (perhaps stale; see lr)"),
            What::Traced => println!(" (traced)"),
            What::Helped => println!(" (through the hand-off's helper)"),
            What::Hooked => println!(" (return hooked)"),
            What::Lost => println!(" (where it returns to is lost)"),
            What::Interrupted(vector) => println!(" (interrupt {vector:#x})"),
        }
        if let Some(rest) = folded.rest() {
            println!("   {rest}");
        }
    }
    if steps.next().is_some() {
        println!("   and more");
    }
}
