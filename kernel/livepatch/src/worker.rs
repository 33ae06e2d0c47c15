//! The thread that looks after transitions: tries again, gives up in time, ends
//! them, and reverses patches whose functions fault.

use super::{
    LivepatchError, descriptor, faults, objects,
    registry::{Lock, REGISTRY},
    switching, transition,
};
use alloc::{string::String, sync::Arc};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use machine::{arch, log, sync::IrqLock, time};
use thread::{OutOfMemory, Thread, isolation};

/// How long until all threads are looked at again.
const RETRY: Duration = Duration::from_millis(5);

static WORKER: IrqLock<Option<Arc<Thread>>> = IrqLock::named("livepatch::WORKER", None);

/// Timebase at which the running transition is reversed; `u64::MAX` if never.
static DEADLINE: AtomicU64 = AtomicU64::new(u64::MAX);

/// Starts the worker.
///
/// # Errors
/// When there is no memory for it.
pub fn start() -> Result<(), OutOfMemory> {
    let worker = thread::spawn("livepatch", work)?;
    *WORKER.lock() = Some(worker.thread().clone());
    thread::on_safe_point(switching::at_safe_point);
    let _ = isolation::judged_by(faults::attribute);
    loader::notify(descriptor::describe, objects::coming, objects::going);
    Ok(())
}

/// Lets the worker look now.
pub(super) fn wake() {
    let worker = WORKER.lock().clone();
    if let Some(worker) = worker {
        worker.unpark();
    }
}

/// Whether this is the worker's number.
pub(super) fn is_worker(id: u32) -> bool {
    (WORKER.lock().as_ref()).is_some_and(|worker| worker.id() == id)
}

/// Sets when the running transition is to be reversed.
pub(super) fn set_deadline(after: Option<Duration>) {
    let deadline = after.map_or(u64::MAX, |after| {
        arch::timebase() + time::timebase_ticks(after)
    });
    DEADLINE.store(deadline, Ordering::Relaxed);
}

fn work() {
    loop {
        thread::safe_point();
        if REGISTRY.lock().model().transition().is_some() {
            look_after();
        }
        let running = REGISTRY.lock().model().transition().is_some();
        if faults::disable_faulted() {
            continue;
        }
        let next = if running {
            arch::timebase() + time::timebase_ticks(RETRY)
        } else {
            u64::MAX
        };
        thread::park_until(next);
    }
}

fn look_after() {
    let Ok(lock) = Lock::wait() else { return };
    if REGISTRY.lock().model().transition().is_none() || transition::try_to_end(&lock) {
        return;
    }
    if arch::timebase() >= DEADLINE.load(Ordering::Relaxed) {
        set_deadline(None);
        let name =
            { REGISTRY.lock().moving() }.map_or_else(String::new, |patch| patch.name().into());
        log::warn!("livepatch: '{name}': the transition has stalled");
        report(transition::turn_round(&lock));
    }
}

pub(super) fn report(result: Result<(), LivepatchError>) {
    if let Err(error) = result {
        log::error!("livepatch: {error}");
    }
}
