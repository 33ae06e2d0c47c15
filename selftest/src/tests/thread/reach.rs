//! Whether a thread can still get into a piece of code.

use super::{deep, join, spawn, until};
use crate::{check, tests::common::traced};
use alloc::{string::String, sync::Arc};
use core::{
    ops::Range,
    slice,
    sync::atomic::{AtomicU64, Ordering},
};
use lab::instruments::specimen;
use machine::{arch, symbols::Place};
use thread::{Activity, State, Thread, backtrace};
use tracing::graph;

/// No memory, so no thread has it in a register by chance.
const NOWHERE: Range<u64> = 0x7654_3210_0000_0000..0x7654_3210_0000_0100;

/// Where a preempted thread was interrupted.
fn interrupted_at(thread: &Thread) -> Option<u64> {
    let Activity::Preempted(r1) = thread.activity() else {
        return None;
    };
    // SAFETY: the thread's own stack, and interrupts are off.
    let mut frames = unsafe { arch::walk(r1, [thread.stack().range()]) };
    frames.find_map(|frame| frame.trap).map(|trap| trap.nip)
}

crate::selftest! {
    /// A sleeping thread is in all functions that it has called and not returned from.
    fn sleepers_are_seen() {
        let codes = deep::codes()?;
        check!(!backtrace::any_in(&codes), "a thread is in them already");
        check!(!backtrace::any_in(&[]), "a thread is in no code");
        let handle = spawn("parked", || { deep::call(&thread::park); })?;
        until("its park", || handle.thread().state() == State::Asleep)?;
        let missed = codes.iter().find(|code| !backtrace::any_in(slice::from_ref(code)));
        handle.thread().unpark();
        join(handle)?;
        check!(missed.is_none(), "{} was not seen", Place(missed.map_or(0, |code| code.start)));
        check!(!backtrace::any_in(&codes), "a thread is still in them");
        Ok(())
    }

    /// The caller's own functions are seen.
    fn callers_are_seen() {
        let codes = deep::codes()?;
        let seen = AtomicU64::new(0);
        deep::call(&|| {
            let count = codes.iter().filter(|code| {
                backtrace::caller_is_in(slice::from_ref(code)) && backtrace::any_in(slice::from_ref(code))
            }).count();
            seen.store(count as u64, Ordering::Relaxed);
        });
        let seen = seen.load(Ordering::Relaxed);
        check!(seen == 10 && !backtrace::caller_is_in(&codes), "{seen} of ten were seen");
        Ok(())
    }

    /// What the graph tracer keeps of a thread counts, also where the frames lead nowhere.
    fn kept_returns_are_seen_without_frames() {
        let codes = deep::codes()?;
        let (handle, asleep) = traced(&graph::OPS, &[deep::PATTERN], || {
            let handle = spawn("parked", || { deep::call(&thread::park); })?;
            let asleep = until("its park", || handle.thread().state() == State::Asleep);
            Ok::<_, String>((handle, asleep))
        })??;
        let off = arch::interrupts_off();
        let missed = match handle.thread().activity() {
            Activity::Waiting(r1) => {
                let chain = r1 as *mut u64;
                // SAFETY: the frame of a thread that sleeps; it is put back before it can run.
                let whole = unsafe { chain.replace(0) };
                // The tenth has called what is not hooked.
                let missed = codes[..9].iter().filter(|code| !backtrace::any_in(slice::from_ref(code))).count();
                // SAFETY: as above.
                unsafe { chain.write(whole) };
                missed
            }
            _ => 10,
        };
        drop(off);
        handle.thread().unpark();
        join(handle)?;
        asleep?;
        check!(missed == 0, "{missed} of nine callers were not seen");
        Ok(())
    }

    /// An address that a preempted thread has in a register, and nowhere else, counts.
    fn registers_are_seen() {
        check!(!backtrace::any_in(&[NOWHERE]), "a thread has the address already");
        let flags = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let shared = flags.clone();
        let handle = spawn("holder", move || {
            // Not in the closure, which lies on the stack.
            let value = NOWHERE.start + 16;
            specimen::hold_in_register(value, &shared[0], &shared[1]);
        })?;
        until("its loop", || flags[1].load(Ordering::Relaxed) != 0)?;
        let seen = backtrace::any_in(&[NOWHERE]);
        flags[0].store(1, Ordering::Relaxed);
        join(handle)?;
        check!(seen, "the register was not seen");
        check!(!backtrace::any_in(&[NOWHERE]), "it is still seen");
        Ok(())
    }
}

crate::selftest! {
    one_cpu;

    /// A thread that was preempted at the end of a function, when its return address
    /// is only in its caller's frame, is seen to return there.
    fn epilogues_are_seen() {
        let [code, window] = specimen::what_ends_slowly();
        let stop = Arc::new(AtomicU64::new(0));
        let shared = stop.clone();
        let handle = spawn("ending", move || specimen::call_what_ends_slowly(&shared))?;
        let (mut looks, mut missed) = (0, None);
        let result = until("preemption in the end of a function", || {
            let off = arch::interrupts_off();
            let at = interrupted_at(handle.thread());
            if let Some(at) = at.filter(|at| window.contains(at)) {
                looks += 1;
                if !backtrace::any_in(slice::from_ref(&code)) {
                    missed = Some(at);
                }
            }
            drop(off);
            looks >= 5 || missed.is_some()
        });
        stop.store(1, Ordering::Relaxed);
        join(handle)?;
        check!(missed.is_none(), "interrupted at {}, it was not seen to be in its caller", Place(missed.unwrap_or(0)));
        result
    }
}
