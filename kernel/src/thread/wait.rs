//! Waiting for somebody, without looking all the time.

use super::{Thread, current, scheduler};
use crate::{arch, sync::IrqLock};
use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::Ordering;

/// Waits until somebody unparks this thread. An [`unpark`](Thread::unpark) from
/// before counts.
pub fn park() {
    park_until(u64::MAX);
}

/// The same, at most until the timebase reaches `deadline`. Says whether it was
/// unparked.
pub fn park_until(deadline: u64) -> bool {
    let me = current();
    loop {
        let off = arch::interrupts_off();
        let token = me.token.swap(false, Ordering::Relaxed);
        if !token && arch::timebase() < deadline {
            scheduler::fall_asleep(deadline);
        }
        drop(off);
        if token {
            return true;
        }
        if arch::timebase() >= deadline {
            return me.token.swap(false, Ordering::Relaxed);
        }
    }
}

/// Threads that wait for something to become true.
#[derive(Debug)]
pub struct WaitQueue(IrqLock<Vec<Arc<Thread>>>);

impl WaitQueue {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self(IrqLock::new(Vec::new()))
    }

    /// Waits until `done`. Whoever makes it true calls [`wake_all`](Self::wake_all)
    /// afterwards.
    pub fn wait_until(&self, done: impl FnMut() -> bool) {
        self.wait_deadline(u64::MAX, done);
    }

    /// The same, at most until the timebase reaches `deadline`. Says whether it
    /// is done. What [`unpark`](Thread::unpark) promises the thread is left alone.
    pub fn wait_deadline(&self, deadline: u64, mut done: impl FnMut() -> bool) -> bool {
        let me = current();
        loop {
            // First in the queue, then the look: who changes it meanwhile, takes us
            // out of the queue again.
            self.0.lock().push(me.clone());
            let is_done = done();
            if !is_done {
                self.sleep(&me, deadline);
            }
            self.0.lock().retain(|one| !Arc::ptr_eq(one, &me));
            if is_done {
                return true;
            }
            if arch::timebase() >= deadline {
                return done();
            }
        }
    }

    /// Waits until somebody takes the thread out of the queue, at most until
    /// `deadline`.
    fn sleep(&self, me: &Arc<Thread>, deadline: u64) {
        let waits = || self.0.lock().iter().any(|one| Arc::ptr_eq(one, me));
        while arch::timebase() < deadline {
            // Off from the look to the sleep: nobody wakes us in between.
            let off = arch::interrupts_off();
            let goes_on = waits();
            if goes_on {
                scheduler::fall_asleep(deadline);
            }
            drop(off);
            if !goes_on {
                return;
            }
        }
    }

    /// Lets all who wait look again.
    pub fn wake_all(&self) {
        let waiting = core::mem::take(&mut *self.0.lock());
        for thread in waiting {
            scheduler::wake(&thread);
        }
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}
