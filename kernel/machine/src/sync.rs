//! A lock that an interrupt handler can't deadlock on, and what is made of it.

use crate::{
    arch::{self, InterruptsOff},
    cpus,
};
use core::ops::{Deref, DerefMut};
use spin::{
    RelaxStrategy,
    mutex::{SpinMutex, SpinMutexGuard},
};

/// A spin lock that keeps interrupts off while it is held. Without that, a
/// handler that wants the lock which the interrupted code holds spins for ever.
#[derive(Debug)]
pub struct IrqLock<T>(SpinMutex<T, Relax>);

/// What a CPU does while it waits for a lock.
#[derive(Debug)]
pub struct Relax;

impl RelaxStrategy for Relax {
    #[inline]
    fn relax() {
        cpus::while_waiting();
    }
}

/// Access to what an [`IrqLock`] holds. Dropping it restores interrupts to what
/// they were before the lock was taken.
#[derive(Debug)]
pub struct IrqGuard<'a, T> {
    // Fields are dropped in this order: the lock must be open before interrupts come on.
    guard: SpinMutexGuard<'a, T, Relax>,
    off: InterruptsOff,
}

impl<T> IrqLock<T> {
    /// An open lock.
    #[must_use]
    #[inline]
    pub const fn new(value: T) -> Self {
        Self(SpinMutex::new(value))
    }

    /// Waits for the lock, with interrupts off from here on.
    #[inline]
    pub fn lock(&self) -> IrqGuard<'_, T> {
        let off = arch::interrupts_off();
        IrqGuard {
            guard: self.0.lock(),
            off,
        }
    }

    /// Takes the lock if it is open, without waiting.
    #[inline]
    pub fn try_lock(&self) -> Option<IrqGuard<'_, T>> {
        let off = arch::interrupts_off();
        let guard = self.0.try_lock()?;
        Some(IrqGuard { guard, off })
    }

    /// Whether the lock is held.
    #[must_use]
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.0.is_locked()
    }

    /// Opens the lock on behalf of a guard that is not there to be dropped.
    ///
    /// # Safety
    /// This CPU has taken the lock, and its guard is never dropped.
    #[inline]
    pub unsafe fn open(&self) {
        // SAFETY: as the caller promises.
        unsafe { self.0.force_unlock() };
    }

    /// Forces the lock open.
    ///
    /// # Safety
    /// The owner never runs again, and the caller tolerates half-updated data in what
    /// the lock protects.
    #[inline]
    pub unsafe fn break_open(&self) {
        if self.0.is_locked() {
            // SAFETY: the caller guarantees that the owner never runs again.
            unsafe { self.0.force_unlock() };
        }
    }
}

impl<T> IrqGuard<'_, T> {
    /// What keeps interrupts off meanwhile.
    #[must_use]
    #[inline(always)]
    pub fn off(&self) -> &InterruptsOff {
        &self.off
    }
}

impl<T> Deref for IrqGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for IrqGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A function that one part of the kernel sets and another calls, so that the second
/// need not know the first.
#[derive(Debug)]
pub struct Hook<F>(IrqLock<Option<F>>);

impl<F: Copy> Hook<F> {
    /// Nothing to call yet.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self(IrqLock::new(None))
    }

    /// Sets what is called.
    #[inline]
    pub fn set(&self, function: Option<F>) {
        *self.0.lock() = function;
    }

    /// Sets what is called, and returns what was.
    #[inline]
    pub fn replace(&self, function: Option<F>) -> Option<F> {
        core::mem::replace(&mut *self.0.lock(), function)
    }

    /// What is to be called, outside the lock.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<F> {
        *self.0.lock()
    }
}

impl<F: Copy> Default for Hook<F> {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}
