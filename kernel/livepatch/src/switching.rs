//! By which rule a thread may switch to the other side of the running transition, and when
//! that is tried: at a safe point, while the thread is off the CPU, or by force.

use super::{
    registry::{Lock, Pending, REGISTRY},
    watch::{self, Event, How},
    worker,
};
use consistency::{PatchState, Ranges};
use core::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};
use machine::{arch, symbols::Path};
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

/// What blocks a thread: it may switch where no function that the transition leaves is on
/// its stack. Interrupts are off.
pub(super) fn blocked_by(thread: &Thread, leaving: &Ranges) -> Option<Blocked> {
    let is_me = thread::with_current(Thread::id) == Some(thread.id());
    let found = if is_me {
        backtrace::check_running(thread, leaving)
    } else {
        // SAFETY: interrupts are off, and the thread is not the running one.
        unsafe { backtrace::check(thread, leaving) }
    };
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

/// Switches a thread if it can switch. Says whether it has, now or before.
fn try_switch(thread: &Thread, pending: &Pending, how: How) -> bool {
    if has_switched(thread, pending) {
        return true;
    }
    let _off = arch::interrupts_off();
    let is_free = blocked_by(thread, &pending.leaving).is_none();
    if is_free {
        switch(thread, pending, how);
    }
    is_free
}

/// How many threads had still to switch at the last look, less those that have
/// switched at safe points since: near enough to know when to look again.
static REMAINING: AtomicUsize = AtomicUsize::new(0);

/// Looks at all threads once. Says how many have still to switch.
pub(super) fn try_all(_: &Lock) -> usize {
    let Some(pending) = REGISTRY.lock().pending.clone() else {
        return 0;
    };
    let me = thread::with_current(Thread::id);
    let remaining = thread::all()
        .filter(|thread| {
            let how = if Some(thread.id()) == me {
                How::Itself
            } else {
                How::Asleep
            };
            !try_switch(thread, &pending, how)
        })
        .count();
    REMAINING.store(remaining, Ordering::Relaxed);
    remaining
}

/// The running thread is at a safe point. Its stack is looked at all the same: a
/// safe point inside a function that is being left is none.
pub(super) fn at_safe_point() {
    // Off, so that the transition is not turned round or ended between the look
    // at where it goes and the switch.
    let off = arch::interrupts_off();
    let pending = REGISTRY.lock().pending.clone();
    let switched = pending.and_then(|pending| {
        thread::with_current(|thread| {
            !has_switched(thread, &pending) && try_switch(thread, &pending, How::SafePoint)
        })
    });
    drop(off);
    // Threads that were made since then have not been counted.
    let one_less = |remaining: usize| Some(remaining.saturating_sub(1));
    if switched == Some(true)
        && REMAINING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) <= Ok(1)
    {
        worker::wake();
    }
}

/// Switches all threads whatever they do.
pub(super) fn by_force(_: &Lock) {
    let Some(pending) = REGISTRY.lock().pending.clone() else {
        return;
    };
    for thread in thread::all() {
        if !has_switched(&thread, &pending) {
            switch(&thread, &pending, How::Forced);
        }
    }
}
