//! Who called whom, from a stack: return addresses, seen through what tracing
//! and interrupts have put between them.

mod reach;
mod reliable;
mod returns;

pub use reach::{any_in, caller_is_in, held};
pub use reliable::{Found, Unreliable, check, check_running};
pub use returns::{Returns, set_returns};

use crate::{
    arch::{self, Walk},
    ftrace, stack,
    thread::{self, Activity, Thread},
    tracing::graph,
};
use layout::{CallFrame, TrapFrame};

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
    /// A call whose return is hooked: this is the real return address.
    Hooked,
    /// A call of a replaced function: its return address, which the hand-off keeps
    /// elsewhere.
    Helped,
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
/// Nobody changes the stack that `r1` is on while the steps are taken.
pub unsafe fn steps(r1: u64, interrupted: bool) -> impl Iterator<Item = Step> {
    let current = |real: fn(&Thread, usize) -> Option<u64>| {
        move |n| thread::with_current(|thread| real(thread, n)).flatten()
    };
    let kept = Kept {
        hooked: current(|thread, n| thread.returns.parent(n)),
        helped: current(returns::real),
    };
    // SAFETY: the bounds are the kernel's stacks, or memory that one of them has
    // overrun; the frames stay as they are, says the caller.
    let frames = unsafe { arch::walk(r1, stack::bounds(r1)) };
    seen(frames, interrupted, kept)
}

/// The steps of a thread that does not run, from where it gave way outwards; none
/// for the running one.
///
/// # Safety
/// The thread does not run while the steps are taken.
pub unsafe fn steps_of(thread: &Thread) -> impl Iterator<Item = Step> {
    let r1 = match thread.activity() {
        Activity::Waiting(r1) | Activity::Preempted(r1) => r1,
        Activity::Running => 0,
    };
    let kept = Kept {
        hooked: |n| thread.returns.parent(n),
        helped: |n| returns::real(thread, n),
    };
    // SAFETY: the thread's own stack, on which nothing happens, says the caller.
    let frames = unsafe { arch::walk(r1, [thread.stack().range()]) };
    seen(frames, false, kept)
}

/// Where return addresses are that are not on the stack itself: the n-th from the
/// innermost, of those that the graph tracer has hooked, and of those that the
/// hand-off has put elsewhere.
struct Kept<H, V> {
    hooked: H,
    helped: V,
}

/// Frames as steps.
fn seen<H, V, const N: usize>(
    frames: Walk<N>,
    interrupted: bool,
    kept: Kept<H, V>,
) -> impl Iterator<Item = Step>
where
    H: Fn(usize) -> Option<u64>,
    V: Fn(usize) -> Option<u64>,
{
    let mut stale = interrupted;
    let (mut hooks, mut helps) = (0, 0);
    let helper = returns::helper();
    frames.filter(|frame| frame.code != 0).map(move |frame| {
        let mut step = Step {
            code: frame.code,
            what: What::Call,
        };
        if frame.code == helper {
            step.code = (kept.helped)(helps).unwrap_or(frame.code);
            step.what = What::Helped;
            helps += 1;
        }
        if let Some(TrapFrame { vector, .. }) = frame.trap {
            step.what = What::Interrupted(*vector);
        } else if ftrace::in_trampoline(frame.code) {
            // SAFETY: a frame that code in a trampoline has called from is the
            // trampoline's own, and the walk has found it on a stack.
            step.code = unsafe { (*(frame.address as *const CallFrame)).nip };
            step.what = What::Traced;
        } else if step.code == graph::hook() {
            step.code = (kept.hooked)(hooks).unwrap_or(step.code);
            step.what = What::Hooked;
            hooks += 1;
        } else if stale {
            step.what = What::PerhapsStale;
        }
        stale = frame.trap.is_some();
        step
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
