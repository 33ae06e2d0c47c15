//! A CPU switches with the scheduler's lock held, and the thread that it switches to opens it:
//! `switch` in `kernel/thread/src/scheduler/mod.rs`, `IrqLock` in `kernel/machine/src/sync.rs`.

use loom::{
    cell::UnsafeCell,
    model,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// What may be wrong.
#[derive(Clone, Copy, PartialEq)]
enum Variant {
    Kernel,
    /// The lock is open before r1 is saved.
    OpensFirst,
    OpensRelaxed,
    TakesRelaxed,
    /// A stack is freed when its thread says that it has ended, and not when it is left.
    FreesEnded,
}

/// The scheduler, with one thread.
struct Scheduler {
    lock: AtomicBool,
    /// What a thread says that ends, before it takes the lock for the last time.
    has_ended: AtomicBool,
    /// Whether the thread is in the table of those that are ready, or have ended.
    is_ready: AtomicBool,
    r1: AtomicU64,
    stack: UnsafeCell<()>,
    variant: Variant,
}

const SAVED: u64 = 42;

impl Scheduler {
    /// One look at the lock; none if it has to go on waiting.
    fn take(&self) -> Option<()> {
        let order = match self.variant {
            Variant::TakesRelaxed => Ordering::Relaxed,
            _ => Ordering::Acquire,
        };
        let is_taken = (self.lock).compare_exchange(false, true, order, Ordering::Relaxed);
        is_taken.ok().map(drop)
    }

    fn open(&self) {
        let order = match self.variant {
            Variant::OpensRelaxed => Ordering::Relaxed,
            _ => Ordering::Release,
        };
        self.lock.store(false, order);
    }

    /// The CPU that leaves the thread.
    fn give_way(&self) -> Option<()> {
        self.take()?;
        self.is_ready.store(true, Ordering::Relaxed);
        if self.variant == Variant::OpensFirst {
            self.open();
        }
        // It still runs on the thread's stack.
        self.stack.with_mut(|_| ());
        self.r1.store(SAVED, Ordering::Relaxed);
        if self.variant != Variant::OpensFirst {
            self.open();
        }
        Some(())
    }

    /// `end`, and the CPU goes on with another thread.
    fn end(&self) -> Option<()> {
        self.has_ended.store(true, Ordering::Release);
        self.give_way()
    }

    /// `join`, on another CPU, and what frees the stack.
    fn join(&self) -> Option<()> {
        self.has_ended.load(Ordering::Acquire).then_some(())?;
        if self.variant != Variant::FreesEnded {
            self.take()?;
            let is_left = self.is_ready.load(Ordering::Relaxed);
            self.open();
            is_left.then_some(())?;
        }
        self.stack.with_mut(|_| ());
        Some(())
    }

    /// The CPU that takes it up.
    fn take_up(&self) -> Option<()> {
        self.take()?;
        if self.is_ready.load(Ordering::Relaxed) {
            assert_eq!(self.r1.load(Ordering::Relaxed), SAVED, "r1 is old");
            self.stack.with_mut(|_| ());
        }
        self.open();
        Some(())
    }
}

/// One CPU leaves the thread, another takes it up or frees what it has left.
fn switch(variant: Variant, ends: bool) {
    model(move || {
        let scheduler = Arc::new(Scheduler {
            lock: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            is_ready: AtomicBool::new(false),
            r1: AtomicU64::new(0),
            stack: UnsafeCell::new(()),
            variant,
        });
        let other = {
            let scheduler = scheduler.clone();
            let other = if ends {
                Scheduler::join
            } else {
                Scheduler::take_up
            };
            thread::spawn(move || other(&scheduler))
        };
        let leave = if ends {
            Scheduler::end
        } else {
            Scheduler::give_way
        };
        leave(&scheduler);
        other.join().unwrap();
    });
}

#[test]
fn a_thread_is_taken_up_when_it_was_left() {
    switch(Variant::Kernel, false);
}

#[test]
#[should_panic(expected = "r1 is old")]
fn control_ready_before_it_is_saved() {
    switch(Variant::OpensFirst, false);
}

#[test]
#[should_panic(expected = "r1 is old")]
fn control_opens_relaxed() {
    switch(Variant::OpensRelaxed, false);
}

#[test]
#[should_panic(expected = "r1 is old")]
fn control_takes_relaxed() {
    switch(Variant::TakesRelaxed, false);
}

#[test]
fn a_stack_is_freed_when_it_was_left() {
    switch(Variant::Kernel, true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_freed_when_its_thread_says_that_it_has_ended() {
    switch(Variant::FreesEnded, true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_freed_while_the_lock_opens_first() {
    switch(Variant::OpensFirst, true);
}
