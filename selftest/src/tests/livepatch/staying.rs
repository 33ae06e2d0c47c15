//! A thread that stays in a patched function until the gate is opened.

use crate::check;
use alloc::{string::String, sync::Arc};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use lab::targets::live;
use thread::{Handle, Thread};

/// What the thread has not returned yet.
const NOTHING: u64 = u64::MAX;

/// The thread.
pub struct Staying {
    /// Until it was waited for.
    handle: Option<Handle>,
    thread: Arc<Thread>,
    shared: Arc<Shared>,
}

struct Shared {
    returned: AtomicU64,
    may_end: AtomicBool,
}

impl Staying {
    /// Starts a thread that calls `enter`, which stays at the gate, and then goes
    /// round its main loop. Returns when it is at the gate, `others` being there
    /// already.
    pub fn start(
        name: &str,
        others: usize,
        enter: impl FnOnce() -> u64 + Send + 'static,
    ) -> Result<Self, String> {
        let shared = Arc::new(Shared {
            returned: AtomicU64::new(NOTHING),
            may_end: AtomicBool::new(false),
        });
        let its_own = shared.clone();
        let body = move || {
            its_own.returned.store(enter(), Ordering::Relaxed);
            while !its_own.may_end.load(Ordering::Relaxed) {
                thread::safe_point();
                thread::yield_now();
            }
        };
        let handle = thread::spawn(name, body).map_err(super::text)?;
        live::wait_inside(others + 1);
        Ok(Self {
            thread: handle.thread().clone(),
            handle: Some(handle),
            shared,
        })
    }

    /// The same, in [`live::stays`].
    pub fn in_target(name: &str, others: usize, how: u64, depth: u64) -> Result<Self, String> {
        Self::start(name, others, move || live::stays(how, depth))
    }

    /// The thread.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Opens the gate, waits until the thread has left, and closes it again. Yields
    /// what the function has returned.
    pub fn leave(&self) -> u64 {
        live::open();
        loop {
            let returned = self.shared.returned.load(Ordering::Relaxed);
            if returned != NOTHING {
                live::close();
                return returned;
            }
            thread::yield_now();
        }
    }

    /// Lets the thread end, opening the gate if it is still there.
    pub fn end(mut self) -> Result<(), String> {
        self.let_end()
    }

    fn let_end(&mut self) -> Result<(), String> {
        let Some(handle) = self.handle.take() else {
            return Ok(());
        };
        live::open();
        self.shared.may_end.store(true, Ordering::Relaxed);
        let result = handle.join();
        live::close();
        result.map_err(super::text)
    }

    /// Leaves, ends, and has returned this.
    pub fn returns(self, expected: u64) -> Result<(), String> {
        let found = self.leave();
        self.end()?;
        check!(
            found == expected,
            "the thread got {found} instead of {expected}"
        );
        Ok(())
    }
}

impl Drop for Staying {
    /// A test that has failed leaves no thread behind.
    fn drop(&mut self) {
        // Whatever became of the thread, the test has failed already.
        let _ = self.let_end();
    }
}
