//! A place where a thread waits until it is told to go on, so that something else
//! can be done while it is there.

use core::{
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};
use machine::{arch, time};
use thread::WaitQueue;

/// No thread has to wait.
const OPEN: u8 = 0;
/// The next thread that comes waits.
const SHUT: u8 = 1;
/// A thread waits.
const WAITING: u8 = 2;

/// The place.
#[derive(Debug)]
pub struct Gate {
    state: AtomicU8,
    queue: WaitQueue,
}

/// How long anything may take that does not depend on other work.
const SOON: Duration = Duration::from_secs(5);

/// The timebase when something that begins now must be done.
pub fn deadline() -> u64 {
    arch::timebase() + time::timebase_ticks(SOON)
}

impl Gate {
    /// It is open.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: AtomicU8::new(OPEN),
            queue: WaitQueue::new(),
        }
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::Relaxed)
    }

    /// Goes through: at once if it is open or a thread waits here already, else when it
    /// is opened.
    pub fn pass(&self) {
        let first =
            self.state
                .compare_exchange(SHUT, WAITING, Ordering::Relaxed, Ordering::Relaxed);
        if first.is_ok() {
            self.queue.wake_all();
            self.queue.wait_until(|| self.state() == OPEN);
        }
    }

    /// Makes the next thread that comes wait.
    pub fn shut(&self) {
        self.state.store(SHUT, Ordering::Relaxed);
    }

    /// Waits until a thread waits here. Says whether that happened in time.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        let reached = || self.state() == WAITING;
        self.queue.wait_deadline(deadline(), reached)
    }

    /// Lets all threads go on.
    pub fn open(&self) {
        self.state.store(OPEN, Ordering::Relaxed);
        self.queue.wake_all();
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
