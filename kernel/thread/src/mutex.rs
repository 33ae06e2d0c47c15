//! A lock that its owner may hold for long: waiting for it is sleep, and interrupts stay on.

use super::WaitQueue;
use core::{
    cell::UnsafeCell,
    fmt,
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicBool, Ordering},
};
use machine::lock_order::{Class, Held};

/// A value that one thread uses at a time. Unlike an [`IrqLock`](machine::sync::IrqLock), it
/// may be held while its owner sleeps or waits for other CPUs, and is not for interrupt
/// handlers. A thread that locks it twice waits for ever.
pub struct Mutex<T> {
    class: Class,
    is_taken: AtomicBool,
    waiting: WaitQueue,
    value: UnsafeCell<T>,
}

// SAFETY: one thread at a time has a guard, and so a reference to the value.
unsafe impl<T: Send> Sync for Mutex<T> {}

/// Access to what a [`Mutex`] holds.
#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    _held: Held<'a>,
}

impl<T> Mutex<T> {
    /// An open lock, by its name in `lockorder::ORDER`.
    #[must_use]
    pub const fn named(name: &'static str, value: T) -> Self {
        Self {
            class: Class::named(name),
            is_taken: AtomicBool::new(false),
            waiting: WaitQueue::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits for the lock.
    #[cfg_attr(feature = "lock-order", track_caller)]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let _held = self.class.by_thread();
        // Acquire: pairs with the guard's drop (`wait::control_takes_the_lock_relaxed` in
        // `crates/models`).
        let take = || !self.is_taken.swap(true, Ordering::Acquire);
        if !take() {
            self.waiting.wait_until(take);
        }
        MutexGuard { mutex: self, _held }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // Release: the next owner sees what this one has written. Open before the others are
        // woken, or one could fall asleep in between (`wait::control_wakes_before_the_lock_is_open`).
        self.mutex.is_taken.store(false, Ordering::Release);
        self.mutex.waiting.wake_all();
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: there is one guard at a time, and this is it.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_taken.load(Ordering::Relaxed) {
            "taken"
        } else {
            "open"
        };
        write!(f, "Mutex({state})")
    }
}
