//! Whether any thread can still get into a piece of code, so that its memory must stay.

use super::{
    What,
    returns::{self, Resolver},
    steps::{Seen, Steps},
};
use crate as thread;
use crate::{Activity, Thread};
use alloc::vec::Vec;
use consistency::Ranges;
use core::ops::Range;
use layout::TrapFrame;
use machine::{arch, cpus, stack, sync::IrqLock, text};
use ppc64::insn;

/// Instructions to look through for a function's end.
const EPILOGUE: u64 = 64;

/// Whether code in one of `ranges` is on any thread's stack: see [`held`].
#[inline(never)]
#[must_use]
pub fn any_in(ranges: &[Range<u64>]) -> bool {
    !held(ranges).is_empty()
}

/// Which of `ranges` are on any thread's stack, by where they start: code that was
/// called, interrupted or is about to be entered, and not returned from. `ranges` may
/// be trampolines, and do not overlap.
///
/// A thread that has been looked at can run on. So the answer is only of use if no
/// thread can enter the code anew, because nothing leads there any more, and no CPU has
/// fetched a way to it before ([`cpus::synchronise`]). A thread that runs on another CPU is
/// looked at by that CPU, in an interrupt. With interrupts off that can't be waited for; then
/// such a thread may be in all of the code.
///
/// Interrupts are off for one thread at a time.
#[inline(never)]
#[must_use]
pub fn held(ranges: &[Range<u64>]) -> Vec<u64> {
    let mut found = Vec::new();
    if ranges.is_empty() {
        return found;
    }
    let ranges = Ranges::new(ranges.iter().cloned());
    look_at_caller(&ranges, &mut found);
    // Another CPU's handler adds to it, and takes no memory there.
    found.reserve(ranges.len());
    let mut seen: Vec<u32> = thread::with_current(Thread::id).into_iter().collect();
    for thread in thread::all() {
        while !seen.contains(&thread.id()) && !look_at(&thread, &ranges, &mut found) {
            if !arch::interrupts_are_on() {
                ranges.starts().for_each(|start| take(start, &mut found));
                return found;
            }
            // It may have left its CPU meanwhile: then it has not been looked at
            // (`retire::control_a_look_that_came_too_late_counts` in `crates/models`).
            look_at_running(&ranges, &mut found, &mut seen);
        }
    }
    found
}

/// The same as [`any_in`] for what runs now alone: this function's callers, and what
/// they have interrupted.
#[inline(never)]
#[must_use]
pub fn caller_is_in(ranges: &[Range<u64>]) -> bool {
    let mut found = Vec::new();
    look_at_caller(&Ranges::new(ranges.iter().cloned()), &mut found);
    !found.is_empty()
}

#[inline(never)]
fn look_at_caller(ranges: &Ranges, found: &mut Vec<u64>) {
    let r1 = arch::stack_pointer();
    // SAFETY: the bounds are the kernel's stacks. Only this function and its callers
    // run on them now, and their frames stay as they are meanwhile.
    let frames = unsafe { arch::walk(r1, stack::bounds(r1)) };
    let current = arch::current() != 0;
    let current = current.then(thread::current);
    look(frames, current.as_deref(), ranges, found);
}

/// Looks at a thread, unless it runs. Says whether it was looked at.
fn look_at(thread: &Thread, ranges: &Ranges, found: &mut Vec<u64>) -> bool {
    thread.look(|activity| match activity {
        Activity::Running => false,
        Activity::Waiting(r1) | Activity::Preempted(r1) => {
            // SAFETY: the thread's own stack, and the thread can't go on.
            let frames = unsafe { arch::walk(r1, [thread.stack().range()]) };
            look(frames, Some(thread), ranges, found);
            true
        }
    })
}

/// Has the other CPUs look at the threads that they run, all at once, and adds those to `seen`.
fn look_at_running(ranges: &Ranges, found: &mut Vec<u64>, seen: &mut Vec<u32>) {
    // As for `found`.
    seen.reserve(cpus::count());
    let all = IrqLock::named("thread::found", (found, seen));
    cpus::call_on_others(&|| {
        let mut all = all.lock();
        let (found, seen) = &mut *all;
        seen.extend(thread::with_current(Thread::id));
        look_at_caller(ranges, found);
    });
}

/// Looks at return addresses, at every one that is kept elsewhere, at the function that a
/// trampoline is about to enter, and at whatever an interrupted function had in its
/// registers: it may have been about to jump there.
#[inline]
fn look<const N: usize>(
    frames: arch::Walk<'_, N>,
    thread: Option<&Thread>,
    ranges: &Ranges,
    found: &mut Vec<u64>,
) {
    if let Some(thread) = thread {
        returns::each(thread, |address| see(address, ranges, found));
        if let Some(real) = returns::by_slot() {
            // Whatever is in the slot: the function that is to save LR there may not have
            // come to it.
            let all = frames.clone().filter_map(|frame| real(thread, frame.slot));
            all.for_each(|address| see(address, ranges, found));
        }
    }
    let mut resolver = Resolver::new(thread);
    let mut steps = Steps::new(frames, &mut resolver);
    while let Some(()) = steps.show(|seen| look_at_step(&seen, ranges, found)) {}
}

#[inline(always)] // once for each frame of each thread
fn look_at_step(seen: &Seen<'_>, ranges: &Ranges, found: &mut Vec<u64>) {
    see(seen.frame.code, ranges, found);
    // Nothing else is to be seen of most frames.
    if seen.step.what != What::Call {
        look_closer(seen, ranges, found);
    }
}

/// Looks at what a step is that is not plainly a call.
#[inline(never)]
fn look_closer(seen: &Seen<'_>, ranges: &Ranges, found: &mut Vec<u64>) {
    see(seen.step.code, ranges, found);
    if let Some(trap) = seen.frame.trap {
        look_at_registers(&seen.frame, trap, ranges, found);
    }
}

/// Takes the range that an address is in.
#[inline(always)] // once for each frame of each thread, at least
fn see(address: u64, ranges: &Ranges, found: &mut Vec<u64>) {
    if let Some(start) = ranges.find(address) {
        take(start, found);
    }
}

/// Takes a range, by its start. Not inlined, or the walk's loop would be too large to keep
/// a step in registers.
#[cold]
#[inline(never)]
fn take(start: u64, found: &mut Vec<u64>) {
    if !found.contains(&start) {
        found.push(start);
    }
}

/// Looks at what a function had in its registers when it was interrupted.
#[inline(never)]
fn look_at_registers(
    frame: &arch::Frame<'_>,
    trap: &TrapFrame,
    ranges: &Ranges,
    found: &mut Vec<u64>,
) {
    let registers = [trap.lr, trap.ctr].into_iter().chain(trap.gpr);
    for address in registers.chain(epilogue_return(frame, trap)) {
        see(address, ranges, found);
    }
}

/// Where an interrupted function will return to, if it was interrupted in its
/// epilogue: after it had given up its frame and before it loaded the address, that
/// is in its caller's frame and nowhere else.
///
/// At other times an address from an earlier call may be there, and stay for ever;
/// so the instructions that come next decide.
fn epilogue_return(frame: &arch::Frame<'_>, trap: &TrapFrame) -> Option<u64> {
    let next = (0..EPILOGUE).map(|n| text::read(trap.nip.wrapping_add(4 * n)));
    insn::loads_return_address(next).then_some(frame.lr_save)
}
