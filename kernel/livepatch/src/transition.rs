//! A transition, from its begin to its end: what starts it, turns it round, forces it and
//! completes it. Meanwhile threads switch one by one ([`switching`]).

use super::{
    LivepatchError, Patch, objects, patched,
    registry::{CHANGED, Lock, PENDING, Pending, REGISTRY},
    switching,
    watch::{self, Event},
    worker,
};
use alloc::{sync::Arc, vec::Vec};
use consistency::{Code, Direction, Function, ModelError, Patches, Ranges};
use core::{convert::Infallible, sync::atomic::Ordering};
use ftrace::Batch;
use machine::{debugger, log, symbols};

/// What a transition is about.
pub(super) enum Way<'a> {
    /// A patch comes, with these functions, and maybe instead of all others.
    In(&'a [Function], bool),
    /// It goes.
    Out,
}

/// Starts a transition of `patch`. All functions that it touches are registered, and
/// [unsettled](unsettle) in this batch.
///
/// # Errors
/// When the model refuses; nothing has changed then.
#[inline(never)] // the step explorer finds it by its name
pub(super) fn begin(
    lock: &Lock,
    mut sites: Batch,
    patch: &Arc<Patch>,
    way: &Way<'_>,
) -> Result<(), LivepatchError> {
    if let Err(refused) = change_model(lock, &mut sites, patch, way) {
        settle(&registered(), &mut sites);
        return Err(refused.into());
    }
    debugger::ways_changed(patched::sides());
    let direction = match way {
        Way::In(..) => Direction::Enable,
        Way::Out => Direction::Disable,
    };
    let patch = patch.name();
    // Told before safe points count: no thread switches until then.
    publish(lock, || watch::tell(&Event::Started { patch, direction }));
    Ok(())
}

fn change_model(
    lock: &Lock,
    sites: &mut Batch,
    patch: &Arc<Patch>,
    way: &Way<'_>,
) -> Result<(), ModelError> {
    match way {
        Way::In(functions, replace) => {
            lock.change_with(sites, |model| model.enable(patch.id, functions, *replace))?;
            REGISTRY.lock().patches.push(patch.clone());
        }
        Way::Out => {
            lock.change_with(sites, |model| model.disable(patch.id))?;
        }
    }
    Ok(())
}

/// The functions that are diverted, by their global entries.
fn registered() -> Vec<Code> {
    REGISTRY.lock().functions.keys().copied().collect()
}

/// Publishes what threads need to know to switch, after every change of the model. Until
/// then they can't switch, or use what was published before, which is still valid to undo.
/// The owner of the livepatch lock alone changes the model and ends the transition, so the
/// ranges are looked up with interrupts on. `tell` is called when they are published. Then safe
/// points count, and CPUs that sleep are woken: after a reversal too, their idle threads have to
/// switch (`crates/models/src/{pending,idle}.rs`).
pub(super) fn publish(_: &Lock, tell: impl FnOnce()) {
    let model = REGISTRY.lock().model_now();
    let pending = model.and_then(|model| {
        Some(Arc::new(Pending {
            transition: *model.transition()?,
            leaving: Ranges::new(model.leaving().iter().copied().map(range_of)),
        }))
    });
    // Told under the lock, so before any thread switches by the new one.
    let mut place = PENDING.lock();
    let before = core::mem::replace(&mut *place, pending);
    switching::set_wanted(place.as_deref());
    tell();
    let is_pending = place.is_some();
    drop(place);
    thread::set_pending(is_pending);
    // Not under the lock.
    drop(before);
}

/// The addresses of a function that a patch replaces, or of one that replaces it.
fn range_of(code: Code) -> core::ops::Range<u64> {
    // Left out, it would let threads switch that are in it.
    let size = symbols::size_at(code).expect("patches' functions have a known size");
    code..code + size
}

/// Sends the calls of all functions that will move through the trampoline. What can go
/// wrong in a transition goes wrong here: so it comes before any callback that only makes
/// sense when the transition begins.
///
/// # Errors
/// When a site can't be written; nothing has changed then.
pub(super) fn unsettle(
    _: &Lock,
    sites: &mut Batch,
    patch: &Patch,
    way: &Way<'_>,
) -> Result<(), LivepatchError> {
    let touched: Vec<Code> = match way {
        Way::In(_, true) => registered(),
        Way::In(functions, false) => functions.iter().map(|function| function.old).collect(),
        Way::Out => {
            let registry = REGISTRY.lock();
            let own = registry.model().functions_of(patch.id);
            own.map(|function| function.old).collect()
        }
    };
    // One by one, so that interrupts are not off for all of them together.
    for old in &touched {
        let unsettled = match REGISTRY.lock().functions.get(old) {
            Some(function) => function.unsettle(sites),
            None => Ok(()),
        };
        if unsettled.is_err() {
            settle(&touched, sites);
            return unsettled;
        }
    }
    Ok(())
}

/// Sends the calls of these functions the short way, where there is one.
fn settle(functions: &[Code], sites: &mut Batch) {
    for old in functions {
        if let Some(function) = REGISTRY.lock().functions.get(old) {
            function.settle(sites);
        }
    }
}

/// Switches the threads that can switch now. The worker does the rest.
pub(super) fn go_on(lock: &Lock) {
    if !try_to_end(lock) {
        worker::wake();
    }
}

/// Ends the transition if all threads have switched. Says whether it did.
pub(super) fn try_to_end(lock: &Lock) -> bool {
    if switching::try_all(lock) > 0 {
        return false;
    }
    end(lock);
    true
}

/// Whether the running transition ends with its patch disabled.
pub(super) fn is_leaving() -> bool {
    let registry = REGISTRY.lock();
    (registry.model().transition()).is_some_and(|transition| !transition.ends_enabled())
}

/// Turns the running transition round: who has switched goes back.
///
/// # Errors
/// When none runs.
pub fn reverse() -> Result<(), LivepatchError> {
    let lock = Lock::wait()?;
    turn_round(&lock)
}

pub(super) fn turn_round(lock: &Lock) -> Result<(), LivepatchError> {
    let patch = {
        let registry = REGISTRY.lock();
        registry.moving().ok_or(LivepatchError::NoTransition)?
    };
    lock.change(Patches::reverse)?;
    let name = patch.name();
    publish(lock, || watch::tell(&Event::Reversed { patch: name }));
    let (from, to) = if is_leaving() {
        ("patching", "unpatching")
    } else {
        ("unpatching", "patching")
    };
    log::info!("livepatch: '{name}': reversing transition from {from} to {to}");
    worker::set_deadline(None);
    go_on(lock);
    Ok(())
}

/// Ends the running transition whatever threads are doing. A thread may go on in an
/// old function and call a new one; and since where threads are is unknown, the modules
/// that may be on a stack stay loaded for good.
///
/// # Errors
/// When none runs.
pub fn force() -> Result<(), LivepatchError> {
    let lock = Lock::wait()?;
    {
        let registry = REGISTRY.lock();
        let patch = registry.moving().ok_or(LivepatchError::NoTransition)?;
        log::warn!(
            "livepatch: '{}': forcing remaining threads; its module can't be unloaded any more",
            patch.name()
        );
        let replaces = patch.descriptor.replace
            && (registry.model().transition())
                .is_some_and(|one| one.direction() == Direction::Enable);
        for one in &registry.patches {
            if replaces || one.id == patch.id {
                one.forced.store(true, Ordering::Relaxed);
            }
        }
    }
    let Ok(()) = lock.change(|model| {
        model.force();
        Ok::<_, Infallible>(())
    });
    switching::by_force(&lock);
    end(&lock);
    Ok(())
}

/// Ends the transition: all threads have switched.
pub(super) fn end(lock: &Lock) {
    let Some(patch) = REGISTRY.lock().moving() else {
        return;
    };
    log_ending(&patch, !is_leaving());
    let Ok(completed) = lock.change(Patches::complete) else {
        return;
    };
    let enabled = completed.transition.ends_enabled();
    let before = PENDING.lock().take();
    drop(before);
    thread::set_pending(false);
    // One by one, so that interrupts are not off for all of them together: until it
    // is their turn, calls go where they went at the end of the transition.
    let released: Vec<_> = (completed.released.iter())
        .filter_map(|old| REGISTRY.lock().functions.remove(old))
        .collect();
    let mut sites = Batch::default();
    let detached = patched::detach(released, &mut sites);
    settle(&registered(), &mut sites);
    drop(sites);
    // Waits for threads that are on the way through their trampolines.
    detached.free();
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
    log::info!("livepatch: '{}': completing {way} transition", patch.name());
}

/// Waits until no transition runs.
pub fn wait() {
    CHANGED.wait_until(|| {
        let registry = REGISTRY.lock();
        registry.model().transition().is_none()
    });
    // Until the thread that has ended it has done what comes after.
    drop(Lock::wait());
}
