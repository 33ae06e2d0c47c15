//! A transition: threads go over one by one, until all have.

use super::{
    How, LivepatchError, Patch, objects,
    patched::{self, Registered},
    registry::{CHANGED, Claim, Crossing, REGISTRY},
    watch::{self, Event},
};
use alloc::{string::ToString, sync::Arc, vec::Vec};
use consistency::{Code, Direction, Function, Ranges, Refused};
use core::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};
use machine::{arch, debugger, symbols};
use thread::Thread;

/// What a transition is about.
pub(super) enum Way<'a> {
    /// A patch comes, with these functions, and maybe instead of all others.
    In(&'a [Function], bool),
    /// It goes.
    Out,
}

/// Starts a transition of `patch`. All functions that it touches are registered, and
/// [unsettled](unsettle).
///
/// # Errors
/// When the model refuses; nothing has changed then.
#[inline(never)] // the step explorer finds it by its name
pub(super) fn begin(
    claim: &Claim,
    patch: &Arc<Patch>,
    way: &Way<'_>,
) -> Result<(), LivepatchError> {
    if let Err(refused) = change_model(patch, way) {
        settle(&registered());
        return Err(refused.into());
    }
    debugger::ways_changed(patched::sides());
    let direction = match way {
        Way::In(..) => Direction::Enable,
        Way::Out => Direction::Disable,
    };
    let patch = patch.name();
    // Told before safe points count: nobody goes over until then.
    cross(claim, || watch::tell(&Event::Started { patch, direction }));
    thread::set_pending(true);
    Ok(())
}

fn change_model(patch: &Arc<Patch>, way: &Way<'_>) -> Result<(), Refused> {
    let mut registry = REGISTRY.lock();
    match way {
        Way::In(functions, replace) => {
            registry.model.enable(patch.id, functions, *replace)?;
            registry.patches.push(patch.clone());
        }
        Way::Out => {
            registry.model.disable(patch.id)?;
        }
    }
    registry.publish();
    Ok(())
}

/// The functions that are diverted, by their global entries.
fn registered() -> Vec<Code> {
    REGISTRY.lock().functions.keys().copied().collect()
}

/// Makes known what it takes to go over, after every change of that. Until then
/// threads can't go over, or go by what was true before, which they can still undo;
/// and nobody but the claim's holder changes the model or ends the transition. So
/// the ranges are looked up without the lock, which keeps interrupts off. `tell` is
/// called when they are there.
pub(super) fn cross(_: &Claim, tell: impl FnOnce()) {
    let (transition, goal, leaving) = {
        let registry = REGISTRY.lock();
        let model = &registry.model;
        (
            model.transition().copied(),
            model.goal().0,
            model.leaving().to_vec(),
        )
    };
    let crossing = transition.map(|transition| {
        Arc::new(Crossing {
            number: transition.number(),
            reversed: transition.reversed(),
            goal,
            leaving: Ranges::new(leaving.into_iter().map(range_of)),
        })
    });
    // Off, so that nobody goes over by the new one before it is told.
    let off = arch::interrupts_off();
    let before = core::mem::replace(&mut REGISTRY.lock().crossing, crossing);
    tell();
    drop(off);
    // Not under the lock.
    drop(before);
}

/// The addresses of a function that a patch replaces, or of one that replaces it.
fn range_of(code: Code) -> core::ops::Range<u64> {
    // Left out, it would let threads go over that are in it.
    let size = symbols::size_at(code).expect("patches' functions have a known size");
    code..code + size
}

/// Sends the calls of all functions that will move through the trampoline. What can go
/// wrong in a transition goes wrong here: so it comes before any callback that only makes
/// sense when the transition begins.
///
/// # Errors
/// When a site can't be written; nothing has changed then.
pub(super) fn unsettle(_: &Claim, patch: &Patch, way: &Way<'_>) -> Result<(), LivepatchError> {
    let touched: Vec<Code> = match way {
        Way::In(_, true) => registered(),
        Way::In(functions, false) => functions.iter().map(|function| function.old).collect(),
        Way::Out => {
            let registry = REGISTRY.lock();
            let own = registry.model.functions_of(patch.id);
            own.map(|function| function.old).collect()
        }
    };
    let unsettled = on_each(&touched, Registered::unsettle);
    if unsettled.is_err() {
        settle(&touched);
    }
    unsettled
}

/// Sends the calls of these functions the short way, where there is one.
fn settle(functions: &[Code]) {
    let settled = on_each(functions, |function| {
        function.settle();
        Ok::<_, Infallible>(())
    });
    let Ok(()) = settled;
}

/// Does something with each of these functions that is registered, up to the first error.
/// One by one, so that interrupts are not off for all of them together.
fn on_each<E>(functions: &[Code], body: impl Fn(&Registered) -> Result<(), E>) -> Result<(), E> {
    for old in functions {
        if let Some(function) = REGISTRY.lock().functions.get(old) {
            body(function)?;
        }
    }
    Ok(())
}

/// Lets a thread go over if it can. Says whether it has, now or before.
fn try_switch(thread: &Thread, crossing: &Crossing, how: How) -> bool {
    if crossing.is_done(thread.universe()) {
        return true;
    }
    let _off = arch::interrupts_off();
    let free = watch::held(thread, &crossing.leaving).is_none();
    if free {
        thread.set_universe(crossing.goal);
        watch::tell(&Event::Switched { thread, how });
    }
    free
}

/// How many threads had still to go over when somebody looked, less those that have
/// gone over at safe points since: near enough to know when to look again.
static REMAINING: AtomicUsize = AtomicUsize::new(0);

/// Looks at all threads once. Says how many have still to go over.
pub(super) fn try_all(_: &Claim) -> usize {
    let Some(crossing) = REGISTRY.lock().crossing.clone() else {
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
            !try_switch(thread, &crossing, how)
        })
        .count();
    REMAINING.store(remaining, Ordering::Relaxed);
    remaining
}

/// The running thread is at a safe point. Its stack is looked at all the same: a
/// safe point inside a function that is being left is none.
pub(super) fn at_safe_point() {
    // Off, so that nobody turns the transition round, or ends it, between the look
    // at where it goes and the switch.
    let off = arch::interrupts_off();
    let crossing = REGISTRY.lock().crossing.clone();
    let switched = crossing.and_then(|crossing| {
        thread::with_current(|thread| {
            !crossing.is_done(thread.universe()) && try_switch(thread, &crossing, How::SafePoint)
        })
    });
    drop(off);
    // Threads that were made since then have not been counted.
    let one_less = |remaining: usize| Some(remaining.saturating_sub(1));
    if switched == Some(true)
        && REMAINING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) <= Ok(1)
    {
        super::worker::wake();
    }
}

/// Switches all threads whatever they do.
pub(super) fn switch_by_force(_: &Claim) {
    let crossing = {
        let mut registry = REGISTRY.lock();
        registry.model.force();
        registry.crossing.clone()
    };
    let Some(crossing) = crossing else { return };
    for thread in thread::all() {
        if !crossing.is_done(thread.universe()) {
            thread.set_universe(crossing.goal);
            let thread = &thread;
            let how = How::Forced;
            watch::tell(&Event::Switched { thread, how });
        }
    }
}

/// Ends the transition if all threads have gone over. Says whether it did.
pub(super) fn try_to_end(claim: &Claim) -> bool {
    if try_all(claim) > 0 {
        return false;
    }
    end(claim);
    true
}

/// Ends the transition: all threads have gone over.
pub(super) fn end(_: &Claim) {
    let (patch, enabled, completed) = {
        let mut registry = REGISTRY.lock();
        let Some(patch) = registry.moving() else {
            return;
        };
        let Ok(completed) = registry.model.complete() else {
            return;
        };
        let enabled = completed.transition.ends_enabled();
        log_ending(&patch, enabled);
        registry.crossing = None;
        registry.publish();
        (patch, enabled, completed)
    };
    thread::set_pending(false);
    // One by one, so that interrupts are not off for all of them together: until it
    // is their turn, calls go where they went at the end of the transition.
    let released: Vec<_> = (completed.released.iter())
        .filter_map(|old| REGISTRY.lock().functions.remove(old))
        .collect();
    let touched = registered();
    // Waits for threads that are on the way through their trampolines.
    patched::release(released);
    settle(&touched);
    ftrace::reclaim();
    debugger::ways_changed(patched::sides());
    for index in objects::present(&patch) {
        if enabled {
            patch.post_patch(index);
        } else {
            patch.post_unpatch(index);
        }
    }
    // Only now: callbacks may ask what earlier patches have left.
    let gone: Vec<_> = {
        let mut registry = REGISTRY.lock();
        let is_gone = |patch: &mut Arc<Patch>| completed.removed.contains(&patch.id);
        let gone: Vec<_> = registry.patches.extract_if(.., is_gone).collect();
        let forced = gone.iter().filter(|patch| patch.is_pinned());
        registry
            .pinned
            .extend(forced.map(|patch| patch.module.clone()));
        gone
    };
    drop(gone);
    let way = if enabled { "patching" } else { "unpatching" };
    log::info!("livepatch: '{}': {way} complete", patch.name());
    watch::tell(&Event::Ended {
        patch: patch.name(),
        enabled,
    });
    drop(patch);
    CHANGED.wake_all();
}

fn log_ending(patch: &Patch, enabled: bool) {
    let way = if enabled { "patching" } else { "unpatching" };
    let name = patch.name().to_string();
    log::info!("livepatch: '{name}': completing {way} transition");
}

/// Waits until no transition runs.
pub fn wait() {
    CHANGED.wait_until(|| {
        let registry = REGISTRY.lock();
        registry.model.transition().is_none()
    });
    // Until whoever has ended it is through with what comes after.
    drop(Claim::wait());
}
