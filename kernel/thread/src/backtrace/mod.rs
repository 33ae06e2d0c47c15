//! The chain of calls on a stack: return addresses, seen through what tracing
//! and interrupts have put between them.
//!
//! - `steps`: the one walk; `returns`: return addresses that are kept elsewhere;
//! - `reliable`: whether a stack can be relied on, and which functions are on it;
//! - `reach`: whether a thread can still get into code that is to be freed.

mod reach;
mod reliable;
mod returns;
mod steps;

pub use reach::{any_in, caller_is_in, held};
pub use reliable::{Found, Unreliable, check, check_as, check_running};
pub use returns::{Real, Returns, set_return_hook, set_returns};
pub use steps::{InTrampoline, set_trampolines};

use crate as thread;
use crate::{Activity, Thread};
use core::{fmt, mem::offset_of, ptr};
use layout::FrameHeader;
use machine::{
    arch, stack,
    symbols::{self, Path},
};
use returns::Resolver;
use steps::Steps;

/// What a step of a backtrace is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// A call, by its return address.
    Call,
    /// The same, left over from an earlier call perhaps: the function that was
    /// interrupted here need not have saved LR.
    PerhapsStale,
    /// A function that is being traced, and has not begun yet.
    Traced,
    /// A call with a hooked return: this is the real return address.
    Hooked,
    /// A call of a replaced function: its return address, which the hand-off keeps
    /// elsewhere.
    Helped,
    /// A return address is that of the tracer's hook, or of the hand-off's helper, and
    /// nothing says what it stands for.
    Lost,
    /// Interrupted here, at this vector.
    Interrupted(u64),
}

/// One step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// Where the code goes on.
    pub code: u64,
    /// What that is.
    pub what: What,
}

impl Step {
    /// An address inside the instruction that the step is about: a return
    /// address is behind its call, which may be a function's last instruction.
    #[must_use]
    #[inline(always)] // once for each frame of each thread
    pub fn place(&self) -> u64 {
        match self.what {
            What::Interrupted(_) | What::Traced => self.code,
            _ => self.code.wrapping_sub(4),
        }
    }
}

/// The steps from the frame at `r1` outwards, on a stack of the running thread.
/// With `interrupted`, the function that the frame belongs to was interrupted.
///
/// # Safety
/// The stack that `r1` is on does not change while the steps are taken, and the running
/// thread takes them itself.
pub unsafe fn steps(r1: u64, interrupted: bool) -> impl Iterator<Item = Step> {
    let thread = thread::with_current(ptr::from_ref);
    // SAFETY: the thread is kept for as long as it runs, and takes the steps itself, says
    // the caller.
    let thread = thread.map(|thread| unsafe { &*thread });
    // SAFETY: the bounds are the kernel's stacks, or memory that one of them has
    // overrun; the frames stay as they are, says the caller.
    let frames = unsafe { arch::walk(r1, stack::bounds(r1)) };
    let mut steps = Steps::new(frames, Resolver::new(thread));
    if interrupted {
        // An r1 that is lost may be any number.
        let slot = r1.wrapping_add(offset_of!(FrameHeader, lr_save) as u64);
        steps = steps.interrupted(slot);
    }
    told(steps)
}

/// Shows `see` the steps of a thread that does not run, from where it gave way outwards; none
/// of one that runs. Meanwhile it can't go on; see [`Thread::look`] for what `see` may do.
pub fn steps_of<T>(thread: &Thread, see: impl FnOnce(&mut dyn Iterator<Item = Step>) -> T) -> T {
    thread.look(|activity| {
        let r1 = match activity {
            Activity::Waiting(r1) | Activity::Preempted(r1) => r1,
            Activity::Running => 0,
        };
        // SAFETY: the thread's own stack, on which nothing happens: it can't go on.
        let frames = unsafe { arch::walk(r1, [thread.stack().range()]) };
        see(&mut told(Steps::new(frames, Resolver::new(Some(thread)))))
    })
}

/// What is told of a walk.
fn told<'a, const N: usize>(
    steps: Steps<'a, Resolver<'a>, N>,
) -> impl Iterator<Item = Step> + use<'a, N> {
    let steps = steps.map(|seen| seen.step);
    steps.filter(|step| step.code != 0)
}

/// A step, and how many follow it in the same function, which calls itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Folded {
    /// The innermost of them.
    pub step: Step,
    /// How many more there are.
    pub again: usize,
}

impl Folded {
    /// What stands for the others, if there are any: `... f again, 37 frames`.
    #[must_use]
    pub fn rest(&self) -> Option<impl fmt::Display> {
        let Self { step, again } = *self;
        let frames = if again == 1 { "frame" } else { "frames" };
        let text = move |f: &mut fmt::Formatter<'_>| {
            write!(f, "... {} again, {again} {frames}", Path(step.place()))
        };
        (again > 0).then_some(fmt::from_fn(text))
    }
}

/// Steps of which those in one function that follow one another are one. Only calls are
/// folded: what else a step is, is to be seen.
pub fn folded(steps: impl Iterator<Item = Step>) -> impl Iterator<Item = Folded> {
    let entry = |step: &Step| symbols::function_at(step.place()).map(|entry| entry.address);
    let calls_itself = move |one: &Step, next: &Step| {
        let both_calls = one.what == What::Call && next.what == What::Call;
        both_calls && (one.code == next.code || entry(one).is_some_and(|e| entry(next) == Some(e)))
    };
    let mut steps = steps.peekable();
    core::iter::from_fn(move || {
        let step = steps.next()?;
        let mut again = 0;
        while steps.next_if(|next| calls_itself(&step, next)).is_some() {
            again += 1;
        }
        Some(Folded { step, again })
    })
}

/// Writes down the steps from the caller outwards; returns how many there are
/// room for.
#[inline(never)]
pub fn here(steps_out: &mut [Step]) -> usize {
    // SAFETY: this function's own frame and its callers', which stay as they are
    // while it runs.
    let steps = unsafe { steps(arch::stack_pointer(), false) };
    let mut count = 0;
    for (place, step) in steps_out.iter_mut().zip(steps) {
        *place = step;
        count += 1;
    }
    count
}
