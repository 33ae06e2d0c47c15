//! Calls in single steps that are given up.

use crate::{
    arch::{self, sanitiser::SanitisedCall},
    check,
    ftrace::{self, Filter},
    interrupt, single_step, symbols,
    tracing::graph,
};
use alloc::format;
use core::sync::atomic::{AtomicBool, Ordering};
use layout::TrapFrame;
use ppc64::{msr, vector};

/// Runs into an instruction that there is not.
#[inline(never)]
extern "C" fn lost() {
    // SAFETY: traps, and the call is given up. Not the words of `crash=illegal`, or the
    // linker would make one of the two.
    unsafe { core::arch::asm!(".long 8") }
}

/// Whether the call has been given up.
static IS_LOST: AtomicBool = AtomicBool::new(false);

fn watch(frame: &mut TrapFrame) -> bool {
    match frame.vector {
        // Up to there, and from there on, at full speed: the tracer's reservations would
        // not survive a trap.
        vector::TRACE => {
            frame.msr &= !msr::SE;
            true
        }
        vector::PROGRAM if !IS_LOST.swap(true, Ordering::Relaxed) => {
            single_step::give_up(frame);
            true
        }
        _ => false,
    }
}

crate::selftest! {
    /// What the graph tracer keeps of a call that is given up goes with it. What is
    /// traced afterwards would return to that call's caller.
    fn hooked_calls_are_forgotten() {
        let entry = lost as *const () as u64;
        let local = symbols::function_at(entry).map_or(0, |entry| u64::from(entry.local_entry));
        let filter = Filter::only(&["kernel::selftest::single_step::lost"]);
        ftrace::register(&graph::OPS, &filter).map_err(|error| format!("{error}"))?;
        let toc = arch::cpu().entry.toc.load(Ordering::Relaxed);
        let mut call = SanitisedCall::new(entry, local, toc, false);
        IS_LOST.store(false, Ordering::Relaxed);
        let off = arch::interrupts_off();
        interrupt::watch(Some(watch));
        let is_lost = || IS_LOST.load(Ordering::Relaxed);
        // SAFETY: it takes nothing, and the watcher is there.
        unsafe { single_step::make(&mut call, is_lost) };
        interrupt::watch(None);
        drop(off);
        let depth = graph::depth();
        // Or, without what is tested here, the next to return would be lost for real.
        graph::forget_above(0);
        ftrace::unregister(&graph::OPS).map_err(|error| format!("{error}"))?;
        check!(is_lost(), "it was not given up");
        check!(depth == 0, "{depth} calls are still hooked");
        Ok(())
    }
}
