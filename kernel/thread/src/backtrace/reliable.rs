//! Stack walks that know whether they can be relied on.
//!
//! A walk along the back chain finds every function on a stack if each of them has
//! saved its return address. Every function that has made a call has saved it. A
//! function that was interrupted need not have (`arch/powerpc/kernel/stacktrace.c`
//! in Linux says the same of an exception frame).

use super::{
    What,
    returns::Resolver,
    steps::{Seen, Steps},
};
use crate::{Activity, Thread};
use consistency::Ranges;
use core::fmt;
use machine::{
    arch,
    symbols::{self, Place},
};

/// Why a walk can't tell which functions are on a stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unreliable {
    /// An interrupt took the thread off the CPU: it may have been anywhere in a
    /// function, with its return address still in a register.
    Interrupted {
        /// Where.
        at: u64,
    },
    /// The thread runs on another CPU, with this number.
    Runs {
        /// Which.
        cpu: u32,
    },
    /// A frame that an interrupt has left is on the stack.
    InterruptFrame {
        /// Where the interrupted code goes on.
        at: u64,
    },
    /// A return address is that of the tracer's hook, or of the hand-off's helper, and
    /// nothing says what it stands for.
    HookedReturn,
    /// A return address is in no code that the kernel knows.
    UnknownCode {
        /// The address.
        at: u64,
    },
    /// The chain of frames does not end at the stack's base.
    BrokenChain {
        /// The last frame that was found.
        at: u64,
    },
}

impl fmt::Display for Unreliable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Interrupted { at } => write!(f, "interrupted in {}", Place(at)),
            Self::Runs { cpu } => write!(f, "it runs on CPU {cpu}"),
            Self::InterruptFrame { at } => write!(f, "an interrupt of {} on its stack", Place(at)),
            Self::HookedReturn => f.write_str("a hooked return that leads nowhere"),
            Self::UnknownCode { at } => write!(f, "unknown code at {at:#x} on its stack"),
            Self::BrokenChain { at } => write!(f, "a stack whose frames end at {at:#x}"),
        }
    }
}

/// What was found on a stack that could be read: the innermost function of those
/// that were looked for, by where its range starts; or none.
pub type Found = Option<u64>;

/// Looks for code in `wanted` on the stack of another thread than the running one.
///
/// # Errors
/// When its stack can't be relied on.
pub fn check(thread: &Thread, wanted: &Ranges) -> Result<Found, Unreliable> {
    // SAFETY: this is what `look` says of the thread.
    thread.look(|activity| unsafe { check_as(thread, activity, wanted) })
}

/// The same, for a look at the thread that has found it doing this.
///
/// # Errors
/// When its stack can't be relied on.
///
/// # Safety
/// Called by the closure of a [`Thread::look`] at `thread`, which has given it `activity`.
pub unsafe fn check_as(
    thread: &Thread,
    activity: Activity,
    wanted: &Ranges,
) -> Result<Found, Unreliable> {
    match activity {
        Activity::Waiting(r1) => {
            // SAFETY: nothing happens on the stack, says the caller.
            unsafe { look(thread, r1, wanted) }
        }
        Activity::Preempted(r1) => {
            // SAFETY: as above.
            let mut frames = unsafe { arch::walk(r1, [thread.stack().range()]) };
            let at = frames
                .find_map(|frame| frame.trap)
                .map_or(0, |trap| trap.nip);
            Err(Unreliable::Interrupted { at })
        }
        Activity::Running => Err(Unreliable::Runs { cpu: thread.cpu() }),
    }
}

/// The same for the running thread, from the caller outwards.
///
/// # Errors
/// When its stack can't be relied on.
#[inline(never)]
pub fn check_running(thread: &Thread, wanted: &Ranges) -> Result<Found, Unreliable> {
    // SAFETY: this function's own frame and its callers', which stay as they are
    // while it runs.
    unsafe { look(thread, arch::stack_pointer(), wanted) }
}

/// # Safety
/// `r1` is a frame of the thread's stack, and those above it stay as they are.
unsafe fn look(thread: &Thread, r1: u64, wanted: &Ranges) -> Result<Found, Unreliable> {
    let (bottom, top) = thread.stack().range();
    let mut last = r1;
    // SAFETY: as the caller promises.
    let frames = unsafe { arch::walk(r1, [(bottom, top)]) };
    let mut returns = Resolver::new(Some(thread));
    let mut steps = Steps::new(frames, &mut returns);
    while let Some(looked) = steps.show(|seen| look_at(&seen, wanted, &mut last)) {
        if let Some(result) = looked {
            return result;
        }
    }
    // The base frame is the stack's last, and its back chain is zero.
    let base = top - size_of::<layout::FrameHeader>() as u64;
    if last == base {
        Ok(None)
    } else {
        Err(Unreliable::BrokenChain { at: last })
    }
}

/// Looks at a step. Yields what is known of the stack then, if no other step matters.
#[inline(always)] // once for each frame of each thread
fn look_at(seen: &Seen<'_>, wanted: &Ranges, last: &mut u64) -> Option<Result<Found, Unreliable>> {
    let step = seen.step;
    match step.what {
        What::Interrupted(_) => return Some(Err(Unreliable::InterruptFrame { at: step.code })),
        What::Lost => return Some(Err(Unreliable::HookedReturn)),
        _ => *last = seen.frame.address,
    }
    let place = step.place();
    if let Some(found) = wanted.find(place) {
        return Some(Ok(Some(found)));
    }
    if seen.is_kernel || step.what == What::Traced || in_module(place) {
        None
    } else {
        Some(Err(Unreliable::UnknownCode { at: step.code }))
    }
}

/// Whether an address is in a loaded module. The kernel's own symbols are there since 0.
fn in_module(place: u64) -> bool {
    symbols::since(place).is_some_and(|since| since > 0)
}
