//! Safe points: where a thread says that it is between two pieces of work, so that
//! it may switch to another set of functions. What that takes is for
//! `livepatch` to know.

use super::scheduler;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use machine::sync::Hook;

static PENDING: AtomicBool = AtomicBool::new(false);
/// Counts the calls of [`set_pending`].
static CHANGES: AtomicU64 = AtomicU64::new(0);
/// What is called at a safe point while a transition runs.
static HOOK: Hook<fn()> = Hook::new();

/// A place where every function that the running thread is in may be replaced: the
/// top of its main loop. Costs a load and a branch while no transition runs.
#[inline]
pub fn safe_point() {
    if PENDING.load(Ordering::Relaxed)
        && let Some(hook) = HOOK.get()
    {
        hook();
    }
}

/// Sets what is called at safe points while they count.
pub fn on_safe_point(hook: fn()) {
    HOOK.set(Some(hook));
}

/// Says whether safe points count now. If so, CPUs that sleep are woken: what they run when
/// nothing else wants to has a safe point too. To be called again when what is done at safe
/// points changes.
pub fn set_pending(pending: bool) {
    PENDING.store(pending, Ordering::Relaxed);
    // Release: pairs with `changes`.
    CHANGES.fetch_add(1, Ordering::Release);
    if pending {
        scheduler::wake_idle();
    }
}

/// How often [`set_pending`] was called. A CPU looks before its safe point and once more, with
/// the scheduler's lock held, before it sleeps: without that it could miss a change in between, and
/// sleep on the old side. See `crates/models/src/idle.rs`.
pub(super) fn changes() -> u64 {
    // Acquire: a safe point behind this sees what has changed. Relaxed, it could miss that, and
    // the count would say that it had not: `idle::control_counts_relaxed`.
    CHANGES.load(Ordering::Acquire)
}
