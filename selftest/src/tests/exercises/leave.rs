//! Exercise 10: a patch that can be taken back although a thread waits in it.

use super::{SOON, blocked_by, deadline, enable, isolated, settle};
use crate::{check, exercises};
use alloc::{string::ToString, sync::Arc};
use core::sync::atomic::{AtomicU64, Ordering};
use livepatch::Options;
use machine::arch;

const PATCH: &str = "exercise_leave";
const NOTHING: u64 = u64::MAX;

/// A thread that waits for the bell.
struct Waiter {
    handle: thread::Handle,
    returned: Arc<AtomicU64>,
}

impl Waiter {
    /// Returns when it listens.
    fn start() -> super::Result<Self> {
        let returned = Arc::new(AtomicU64::new(NOTHING));
        let own = returned.clone();
        let looks = exercises::looks();
        let handle = thread::spawn("waiter", move || {
            own.store(exercises::wait_for_bell(), Ordering::Relaxed);
        });
        let handle = handle.map_err(|error| error.to_string())?;
        let until = deadline(SOON);
        while exercises::looks() < looks + 2 {
            let found = returned.load(Ordering::Relaxed);
            check!(
                found == NOTHING,
                "expected: a thread that calls `wait_for_bell` waits; found: it got {found} at once"
            );
            check!(
                arch::timebase() < until,
                "expected: a thread that waits listens to the bell now and then; found: it has not done so for a second"
            );
            thread::sleep(core::time::Duration::from_millis(1));
        }
        Ok(Self { handle, returned })
    }

    /// Is it as patient as the kernel's own? Longer than a transition may take, so that a
    /// thread that only gives up after a while does not leave in time.
    fn waits_on(&self) -> super::Result {
        let has_left = self.handle.wait_until(deadline(SOON));
        let found = self.returned.load(Ordering::Relaxed);
        check!(
            !has_left,
            "expected: while the patch is enabled and the bell silent, a thread waits; found: it gave up within a second, and got {found}"
        );
        Ok(())
    }

    /// Waits until it has come back, with this.
    fn returns(self, expected: u64, when: &str) -> super::Result {
        check!(
            self.handle.wait_until(deadline(SOON)),
            "expected: {when}, the waiting thread returns; found: it still waits"
        );
        self.handle.join().map_err(|error| error.to_string())?;
        let found = self.returned.load(Ordering::Relaxed);
        check!(
            found == expected,
            "expected: {when}, the waiting thread gets {expected}; found: {found}"
        );
        Ok(())
    }
}

/// The patch is taken back while a thread waits in it.
fn taken_back() -> super::Result {
    let waiter = Waiter::start()?;
    livepatch::disable(PATCH).map_err(|error| error.to_string())?;
    if settle().is_err() {
        let held = blocked_by();
        livepatch::reverse().map_err(|error| error.to_string())?;
        settle()?;
        exercises::ring(true);
        waiter.returns(2, "when the bell rings")?;
        exercises::ring(false);
        return Err(alloc::format!(
            "not done yet: the patch can't be taken back while a thread waits in it: {held}. (The transition was turned round, and the bell rung.) Expected: the thread leaves"
        ));
    }
    waiter.returns(0, "when the patch is taken back")
}

crate::selftest! {
    control;

    /// It waits for the bell, leaves when it must, and waits again the next time.
    fn lets_go() {
        isolated(|| {
            exercises::ring(false);
            enable(PATCH)?;
            let waiter = Waiter::start()?;
            waiter.waits_on()?;
            exercises::ring(true);
            waiter.returns(2, "when the bell rings")?;
            exercises::ring(false);
            taken_back()?;
            // The module has stayed loaded, with all that its statics hold.
            let module = loader::find(PATCH).ok_or("the module has gone")?;
            livepatch::enable(&module, Options::default()).map_err(|error| error.to_string())?;
            drop(module);
            settle()?;
            taken_back().map_err(|error| alloc::format!("the second time that the patch is enabled: {error}"))?;
            loader::unload(PATCH).map_err(|error| error.to_string())
        })
    }
}
