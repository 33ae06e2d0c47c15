//! Waiting for another thread, without polling. Modelled in `crates/models/src/wait.rs`.

use super::{Thread, current, scheduler};
use alloc::sync::Arc;
use core::{
    mem,
    sync::atomic::{AtomicBool, Ordering},
};
use machine::{arch, sync::IrqLock, time};

/// Waits until this thread is unparked. An [`unpark`](Thread::unpark) from before
/// counts.
pub fn park() {
    park_until(u64::MAX);
}

/// The same, at most until the timebase reaches `deadline`. Says whether it was
/// unparked.
pub fn park_until(deadline: u64) -> bool {
    let me = current();
    loop {
        // Acquire: what was written before the unpark is seen
        // (`control_takes_the_token_relaxed`).
        if me.token.swap(false, Ordering::Acquire) {
            return true;
        }
        if arch::timebase() >= deadline {
            return false;
        }
        // Looked at once more under the scheduler's lock, or an unpark that came since
        // would be lost (`control_parks_with_a_look_before_the_lock`).
        scheduler::fall_asleep(deadline, || !me.token.load(Ordering::Acquire));
    }
}

/// Threads that wait for something to become true: the newest, and through its place the
/// others. The threads themselves are linked, so that waiting needs no memory.
#[derive(Debug)]
pub struct WaitQueue(IrqLock<Option<Arc<Thread>>>);

/// A thread's place in a queue.
#[derive(Debug)]
pub(super) struct Place {
    /// Whether it is in a queue, or was until now and is about to be woken. Nothing but
    /// that queue changes the place meanwhile.
    is_taken: AtomicBool,
    /// The thread that came to the queue before it.
    before: IrqLock<Option<Arc<Thread>>>,
}

impl Place {
    pub(super) const fn new() -> Self {
        Self {
            is_taken: AtomicBool::new(false),
            before: IrqLock::named("thread::Place", None),
        }
    }
}

impl WaitQueue {
    /// A queue in which no thread waits.
    #[must_use]
    pub const fn new() -> Self {
        Self(IrqLock::named("thread::WaitQueue", None))
    }

    /// Waits until `done`. The code that makes it true calls [`wake_all`](Self::wake_all)
    /// afterwards.
    pub fn wait_until(&self, done: impl FnMut() -> bool) {
        self.wait_deadline(u64::MAX, done);
    }

    /// The same, at most until the timebase reaches `deadline`. Says whether it
    /// is done. What [`unpark`](Thread::unpark) promises the thread is left alone.
    ///
    /// A thread has one place. If `done` waits in a queue itself, it looks again at each
    /// tick there.
    pub fn wait_deadline(&self, deadline: u64, mut done: impl FnMut() -> bool) -> bool {
        let me = current();
        loop {
            // First in the queue, then the look: a thread that makes `done` true
            // meanwhile takes this one out of the queue again
            // (`control_looks_before_it_is_in_the_queue`).
            let is_queued = self.enter(&me);
            let is_done = done();
            if is_queued {
                if !is_done {
                    sleep(&me, deadline);
                }
                self.leave(&me);
            } else if !is_done {
                scheduler::sleep(time::TICK);
            }
            if is_done {
                return true;
            }
            if arch::timebase() >= deadline {
                return done();
            }
        }
    }

    /// Puts a thread into the queue, unless it is in one already. Says whether it did.
    fn enter(&self, me: &Arc<Thread>) -> bool {
        let mut newest = self.0.lock();
        if me.place.is_taken.swap(true, Ordering::Acquire) {
            return false;
        }
        *me.place.before.lock() = newest.replace(me.clone());
        true
    }

    /// Takes a thread out of the queue if it is still there.
    fn leave(&self, me: &Arc<Thread>) {
        let mut newest = self.0.lock();
        if !me.place.is_taken.load(Ordering::Relaxed) {
            return;
        }
        let is_me =
            |one: &Option<Arc<Thread>>| one.as_ref().is_some_and(|one| Arc::ptr_eq(one, me));
        if is_me(&newest) {
            *newest = me.place.before.lock().take();
            me.place.is_taken.store(false, Ordering::Relaxed);
            return;
        }
        let mut next = newest.clone();
        while let Some(thread) = next {
            let mut before = thread.place.before.lock();
            if is_me(&before) {
                *before = me.place.before.lock().take();
                me.place.is_taken.store(false, Ordering::Relaxed);
                return;
            }
            next = before.clone();
        }
        // `wake_all` has it, and has still to say so.
    }

    /// Lets all waiting threads look again, the one that has waited longest first.
    pub fn wake_all(&self) {
        let mut newest = self.0.lock().take();
        let mut oldest = None;
        while let Some(thread) = newest {
            newest = mem::replace(&mut *thread.place.before.lock(), oldest);
            oldest = Some(thread);
        }
        while let Some(thread) = oldest {
            oldest = thread.place.before.lock().take();
            // Before the lock that `wake` takes: the thread looks under it
            // (`control_sleeps_with_a_look_before_the_lock`).
            thread.place.is_taken.store(false, Ordering::Release);
            scheduler::wake(&thread);
        }
    }
}

/// Waits until the thread is taken out of its queue, at most until `deadline`.
fn sleep(me: &Thread, deadline: u64) {
    let is_queued = || me.place.is_taken.load(Ordering::Acquire);
    while is_queued() && arch::timebase() < deadline {
        scheduler::fall_asleep(deadline, is_queued);
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}
