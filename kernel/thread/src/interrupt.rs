//! Where every interrupt arrives.

use crate as thread;
use layout::TrapFrame;
use machine::{arch, cpus, fault, mmu::Refused, stack, sync::Hook, time};
use ppc64::vector;

/// Handles an interrupt; returns to go on with what `frame` describes.
pub extern "C" fn handle(frame: &mut TrapFrame) {
    // A guarded callback that was interrupted has nothing to do with what the
    // handler calls: that is traced again.
    let tracing = arch::tracing();
    arch::set_tracing(0);
    let in_interrupt = arch::in_interrupt();
    arch::set_in_interrupt(true);
    dispatch(frame);
    // On another CPU perhaps: the thread may have been preempted in between.
    arch::set_in_interrupt(in_interrupt);
    arch::set_tracing(tracing);
}

/// Sees an interrupt before any handler. Says whether it has dealt with it; the code
/// that `frame` describes then goes on.
pub type Watcher = fn(frame: &mut TrapFrame) -> bool;

static WATCHER: Hook<Watcher> = Hook::new();

/// Sets the watcher, or removes it. A watcher knows what the interrupted code does: it
/// belongs to the code that single-steps a call, and sees every instruction of it.
/// Returns the previous watcher.
pub fn watch(watcher: Option<Watcher>) -> Option<Watcher> {
    WATCHER.replace(watcher)
}

fn dispatch(frame: &mut TrapFrame) {
    if let Some(watcher) = WATCHER.get()
        && watcher(frame)
    {
        return;
    }
    let is_of_guard = Refused::of(frame).is_some_and(|refused| refused.is_of_guard());
    if is_of_guard || !stack::is_running(frame.gpr[1]) {
        fault::overflowed(frame);
    }
    match frame.vector {
        vector::DECREMENTER => {
            if let Err(damage) = stack::check_guard() {
                fault::guard_damaged(frame, damage);
            }
            time::tick();
            // Last: returns when this thread has the CPU again.
            thread::tick();
        }
        vector::EXTERNAL => {
            let off = arch::interrupts_off();
            // To look for threads there is nothing to do here: an idle CPU looks as soon as
            // it is back, and another one at its next tick.
            let _ = cpus::take_requests(&off);
        }
        _ => fault::unexpected(frame),
    }
}
