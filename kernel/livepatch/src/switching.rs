//! By which rule a thread may switch to the other side of the running transition, and when
//! that is tried: at a safe point, while the thread is off the CPU, or by force.

use super::{
    registry::{Lock, PENDING, Pending},
    watch::{self, Event, How},
    worker,
};
use alloc::sync::Arc;
use consistency::{PatchState, Ranges};
use core::{
    fmt,
    sync::atomic::{AtomicIsize, AtomicU64, Ordering},
};
use machine::symbols::Path;
use thread::{
    Thread,
    backtrace::{self, Unreliable},
};

/// Why a thread can't switch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blocked {
    /// A function that is being left is on its stack.
    Function {
        /// Its global entry.
        function: u64,
    },
    /// Its stack can't be relied on.
    Unreliable(Unreliable),
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function { function } => write!(f, "{} is on its stack", Path(*function)),
            Self::Unreliable(reason) => write!(f, "{reason}"),
        }
    }
}

/// Whether it is the running thread.
fn is_me(thread: &Thread) -> bool {
    thread::with_current(Thread::id) == Some(thread.id())
}

/// What blocks a thread: it may switch where no function that the transition leaves is on
/// its stack.
pub(super) fn blocked_by(thread: &Thread, leaving: &Ranges) -> Option<Blocked> {
    blocked(if is_me(thread) {
        backtrace::check_running(thread, leaving)
    } else {
        backtrace::check(thread, leaving)
    })
}

fn blocked(found: Result<backtrace::Found, Unreliable>) -> Option<Blocked> {
    match found {
        Ok(None) => None,
        Ok(Some(function)) => Some(Blocked::Function { function }),
        Err(reason) => Some(Blocked::Unreliable(reason)),
    }
}

/// Whether a thread has switched.
pub(super) fn has_switched(thread: &Thread, pending: &Pending) -> bool {
    let state = PatchState(thread.patch_state());
    pending.transition.has_switched(state)
}

/// Switches a thread.
fn switch(thread: &Thread, pending: &Pending, how: How) {
    thread.set_patch_state(pending.transition.goal().0);
    watch::tell(&Event::Switched { thread, how });
}

/// Switches a thread if it can switch. Says whether it has, now or before. `pending` is what
/// [`PENDING`] holds, which is locked.
///
/// The running thread looks at its own stack. Another one is looked at, and switched, while
/// no CPU can take it up; one that runs on another CPU never is: it switches itself.
fn try_switch(thread: &Thread, pending: &Pending, how: How) -> bool {
    if has_switched(thread, pending) {
        return true;
    }
    let switch_if = |found| {
        let is_free = blocked(found).is_none();
        if is_free {
            switch(thread, pending, how);
        }
        is_free
    };
    if is_me(thread) {
        return switch_if(backtrace::check_running(thread, &pending.leaving));
    }
    thread.look(|activity| {
        // SAFETY: this is the look, and that is what it has found.
        switch_if(unsafe { backtrace::check_as(thread, activity, &pending.leaving) })
    })
}

/// What the transition wants of a thread's state: its number, twice, and one if the number is
/// what is *not* wanted, as after a reversal. For a quick look; [`PENDING`] is what holds.
static WANTED: AtomicU64 = AtomicU64::new(0);

/// Sets it, with [`PENDING`] locked.
pub(super) fn set_wanted(pending: Option<&Pending>) {
    let wanted = pending.map_or(0, |pending| {
        2 * pending.transition.number() + u64::from(pending.transition.reversed())
    });
    WANTED.store(wanted, Ordering::Relaxed);
}

fn is_as_wanted(state: PatchState) -> bool {
    let wanted = WANTED.load(Ordering::Relaxed);
    state.is_of(wanted / 2) == wanted.is_multiple_of(2)
}

/// How many threads the last look has found that had still to switch, less those that have
/// switched at safe points since it began. Threads that switch before it comes to them count too, so this is
/// too low then, and the worker looks too early; too high, and it would be late.
static REMAINING: AtomicIsize = AtomicIsize::new(0);

/// Looks at all threads once. Says how many have still to switch.
pub(super) fn try_all(_: &Lock) -> usize {
    REMAINING.store(0, Ordering::Relaxed);
    let has_not_switched = |thread: &Arc<Thread>| {
        let how = if is_me(thread) {
            How::Itself
        } else {
            How::Asleep
        };
        let pending = PENDING.lock();
        let has_not = (pending.as_ref()).is_some_and(|pending| !try_switch(thread, pending, how));
        if has_not {
            // Under the lock, so before the thread switches by itself.
            REMAINING.fetch_add(1, Ordering::Relaxed);
        }
        has_not
    };
    thread::all().filter(has_not_switched).count()
}

/// The running thread is at a safe point. Its stack is looked at all the same: a
/// safe point inside a function that is being left is none.
pub(super) fn at_safe_point() {
    // Most have: they take no lock, which all CPUs would want at once.
    if thread::with_current(|thread| is_as_wanted(PatchState(thread.patch_state()))) == Some(true) {
        return;
    }
    let switched = {
        let pending = PENDING.lock();
        pending.as_ref().and_then(|pending| {
            thread::with_current(|thread| {
                !has_switched(thread, pending) && try_switch(thread, pending, How::SafePoint)
            })
        })
    };
    if switched == Some(true) && REMAINING.fetch_sub(1, Ordering::Relaxed) <= 1 {
        worker::wake();
    }
}

/// Switches all threads whatever they do.
pub(super) fn by_force(_: &Lock) {
    for thread in thread::all() {
        let pending = PENDING.lock();
        if let Some(pending) = pending.as_ref()
            && !has_switched(&thread, pending)
        {
            switch(&thread, pending, How::Forced);
        }
    }
}
