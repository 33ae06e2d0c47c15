//! Safe points: where a thread says that it is between two pieces of work, so that
//! it may switch to another set of functions. What that takes is for
//! `livepatch` to know.

use super::scheduler;
use core::sync::atomic::{AtomicBool, Ordering};
use machine::sync::Hook;

static PENDING: AtomicBool = AtomicBool::new(false);
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
/// nothing else wants to has a safe point too.
pub fn set_pending(pending: bool) {
    PENDING.store(pending, Ordering::Relaxed);
    if pending {
        scheduler::wake_idle();
    }
}
