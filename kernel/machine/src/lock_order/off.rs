//! Nothing is looked at.

use core::marker::PhantomData;

/// The class of a lock.
#[derive(Debug)]
pub struct Class;

/// That a lock is held.
#[derive(Debug)]
pub struct Held<'a>(PhantomData<&'a Class>);

impl Class {
    /// The class of this name.
    #[must_use]
    #[inline(always)]
    pub const fn named(_: &'static str) -> Self {
        Self
    }

    /// The class of locks that are made here.
    #[must_use]
    #[inline(always)]
    pub const fn of_this_place() -> Self {
        Self
    }

    /// This CPU is about to take a lock that keeps interrupts off.
    #[inline(always)]
    pub fn by_cpu(&self) -> Held<'_> {
        Held(PhantomData)
    }

    /// The same, and it does not wait.
    #[inline(always)]
    pub fn by_cpu_at_once(&self) -> Held<'_> {
        Held(PhantomData)
    }

    /// The running thread is about to take a lock that it holds over waits.
    #[inline(always)]
    pub fn by_thread(&self) -> Held<'_> {
        Held(PhantomData)
    }

    /// This CPU opens the lock on behalf of a guard that is not there to be dropped.
    #[inline(always)]
    pub fn opened(&self) {}
}

/// This CPU is about to wait for others.
#[inline(always)]
pub fn wait_for_others() {}
