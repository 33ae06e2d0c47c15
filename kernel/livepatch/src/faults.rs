//! Attributes a fault to a patch, and disables or reverses that patch. `machine::fault` stops
//! the thread.

use super::{
    LivepatchError, Status, enable,
    registry::{self, Lock, REGISTRY},
    shadow, transition, worker,
};
use alloc::{string::String, vec::Vec};
use machine::{log, sync::IrqLock};

/// Patches to be reversed, by name.
static FAULTED: IrqLock<Vec<String>> = IrqLock::named("livepatch::FAULTED", Vec::new());

/// Whether the code at these addresses makes a fault a patch's: the first of them
/// that lies in a module which patches something. A thread that is changing patches
/// is never stopped: its change would be left half-done.
pub(super) fn attribute(mut code: &mut dyn Iterator<Item = u64>) -> bool {
    let me = thread::with_current(thread::Thread::id).unwrap_or(0);
    if worker::is_worker(me) || registry::owner() == Some(me) {
        return false;
    }
    let Some(module) = Iterator::find_map(&mut code, loader::at) else {
        return false;
    };
    let is_patch = REGISTRY.lock().by_name(&module.name).is_some();
    if is_patch {
        log::error!(
            "livepatch: the fault is in patch '{}', which is taken back",
            module.name
        );
        FAULTED.lock().push(module.name.clone());
        shadow::stopped(me);
        worker::wake();
    }
    is_patch
}

/// Takes back patches whose functions have faulted. Says whether there is more to
/// do at once.
pub(super) fn disable_faulted() -> bool {
    let Some(name) = FAULTED.lock().last().cloned() else {
        return false;
    };
    // Without the patch itself: its module can be unloaded as soon as it is back.
    let status = super::find(&name).map(|(_, status)| status);
    let done = match status {
        // Another thread was quicker.
        None | Some(Status::Disabling) => true,
        Some(Status::Enabling) => match Lock::wait() {
            Ok(lock) => {
                worker::report(transition::turn_round(&lock));
                true
            }
            Err(_) => false,
        },
        Some(Status::Enabled) => match enable::disable(&name) {
            // Another thread was quicker, since the look above.
            Ok(()) | Err(LivepatchError::NotEnabled(_)) => true,
            // Another patch's transition comes first.
            Err(LivepatchError::Busy { .. }) => false,
            Err(error) => {
                worker::report(Err(error));
                true
            }
        },
    };
    if done {
        let mut faulted = FAULTED.lock();
        faulted.retain(|one| *one != name);
        if faulted.is_empty() {
            *faulted = Vec::new();
        }
    }
    done && !FAULTED.lock().is_empty()
}
