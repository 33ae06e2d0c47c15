//! A lock that an interrupt handler can't deadlock on, and what is made of it.

use crate::{
    arch::{self, InterruptsOff},
    cpus,
    lock_order::{Class, Held},
};
use core::{
    marker::{FnPtr, PhantomData},
    mem,
    ops::{Deref, DerefMut},
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};
use spin::{
    RelaxStrategy,
    mutex::{SpinMutex, SpinMutexGuard},
};

/// A spin lock that keeps interrupts off while it is held. Without that, a
/// handler that wants the lock which the interrupted code holds spins for ever.
#[derive(Debug)]
pub struct IrqLock<T> {
    class: Class,
    lock: SpinMutex<T, Relax>,
}

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
    _held: Held<'a>,
    guard: SpinMutexGuard<'a, T, Relax>,
    off: InterruptsOff,
}

impl<T> IrqLock<T> {
    /// An open lock, without a place in the order of locks.
    #[must_use]
    #[inline]
    #[cfg_attr(feature = "lock-order", track_caller)]
    pub const fn new(value: T) -> Self {
        Self {
            class: Class::of_this_place(),
            lock: SpinMutex::new(value),
        }
    }

    /// An open lock, by its name in `lockorder::ORDER`.
    #[must_use]
    #[inline]
    #[cfg_attr(feature = "lock-order", track_caller)]
    pub const fn named(name: &'static str, value: T) -> Self {
        Self {
            class: Class::named(name),
            lock: SpinMutex::new(value),
        }
    }

    /// Waits for the lock, with interrupts off from here on.
    #[inline]
    #[cfg_attr(feature = "lock-order", track_caller)]
    pub fn lock(&self) -> IrqGuard<'_, T> {
        let off = arch::interrupts_off();
        let _held = self.class.by_cpu();
        loop {
            // Not the library's `lock`, which has a second loop inline. A try of a held lock
            // writes nothing, so those who wait share its cache block.
            if let Some(guard) = self.lock.try_lock_weak() {
                return IrqGuard { _held, guard, off };
            }
            cpus::while_waiting();
        }
    }

    /// Takes the lock if it is open, without waiting.
    #[inline]
    #[cfg_attr(feature = "lock-order", track_caller)]
    pub fn try_lock(&self) -> Option<IrqGuard<'_, T>> {
        let off = arch::interrupts_off();
        let guard = self.lock.try_lock()?;
        let _held = self.class.by_cpu_at_once();
        Some(IrqGuard { _held, guard, off })
    }

    /// Whether the lock is held.
    #[must_use]
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }

    /// Opens the lock on behalf of a guard that is not there to be dropped.
    ///
    /// # Safety
    /// This CPU has taken the lock, and its guard is never dropped.
    #[inline]
    pub unsafe fn open(&self) {
        self.class.opened();
        // SAFETY: as the caller promises.
        unsafe { self.lock.force_unlock() };
    }

    /// Forces the lock open.
    ///
    /// # Safety
    /// The owner never runs again, and the caller tolerates half-updated data in what
    /// the lock protects.
    #[inline]
    pub unsafe fn break_open(&self) {
        if self.lock.is_locked() {
            self.class.opened();
            // SAFETY: the caller guarantees that the owner never runs again.
            unsafe { self.lock.force_unlock() };
        }
    }
}

impl<T> IrqGuard<'_, T> {
    /// What keeps interrupts off meanwhile.
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
///
/// One word, and no lock: every CPU may look at it all the time, and none waits. A CPU that
/// has just looked may still call what was set before.
#[derive(Debug)]
pub struct Hook<F>(AtomicPtr<()>, PhantomData<F>);

impl<F: FnPtr> Hook<F> {
    /// Nothing to call yet.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()), PhantomData)
    }

    /// Sets what is called.
    #[inline]
    pub fn set(&self, function: Option<F>) {
        self.replace(function);
    }

    /// Sets what is called, and returns what was.
    #[inline]
    pub fn replace(&self, function: Option<F>) -> Option<F> {
        let word = function.map_or(ptr::null_mut(), |function| {
            function.addr().cast_mut().cast()
        });
        // AcqRel: what the function needs is there before it is found.
        Self::function(self.0.swap(word, Ordering::AcqRel))
    }

    /// What is to be called.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<F> {
        // Acquire: pairs with `replace`.
        Self::function(self.0.load(Ordering::Acquire))
    }

    #[inline]
    fn function(word: *mut ()) -> Option<F> {
        // SAFETY: not null, so it was made from an `F` in `replace`, a function pointer.
        (!word.is_null()).then(|| unsafe { mem::transmute_copy::<*mut (), F>(&word) })
    }
}

impl<F: FnPtr> Default for Hook<F> {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}
