//! Sleep and wake: `park` and `WaitQueue` in `kernel/thread/src/wait.rs`, `fall_asleep` and `wake`
//! in `scheduler.rs`, the lock in `mutex.rs`.

use loom::{
    cell::UnsafeCell,
    model,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What may be wrong.
#[derive(Clone, Copy, PartialEq)]
enum Variant {
    Kernel,
    /// The look is before the scheduler's lock.
    LooksBeforeTheLock,
    /// A waiting thread is woken before what it waits for is so.
    WakesFirst,
    /// A thread looks before it is in the queue.
    LooksBeforeTheQueue,
    Relaxed,
}

/// What the scheduler knows of the thread.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Running,
    Asleep,
    Ready,
}

struct Thread {
    scheduler: Mutex<State>,
    token: AtomicBool,
    /// What is written before the thread is unparked, and read afterwards.
    written: UnsafeCell<()>,
    variant: Variant,
}

impl Thread {
    fn new(variant: Variant) -> Self {
        Self {
            scheduler: Mutex::new(State::Running),
            token: AtomicBool::new(false),
            written: UnsafeCell::new(()),
            variant,
        }
    }

    /// Falls asleep if it must.
    fn fall_asleep(&self, must: impl Fn() -> bool) {
        let early = must();
        let mut state = self.scheduler.lock().unwrap();
        let must = match self.variant {
            Variant::LooksBeforeTheLock => early,
            _ => must(),
        };
        if must {
            *state = State::Asleep;
        }
    }

    fn wake(&self) {
        let mut state = self.scheduler.lock().unwrap();
        if *state == State::Asleep {
            *state = State::Ready;
        }
    }

    fn state(&self) -> State {
        *self.scheduler.lock().unwrap()
    }

    /// Up to the sleep: true if it was unparked before.
    fn park(&self) -> bool {
        let acquire = match self.variant {
            Variant::Relaxed => Ordering::Relaxed,
            _ => Ordering::Acquire,
        };
        if self.token.swap(false, acquire) {
            return true;
        }
        self.fall_asleep(|| !self.token.load(Ordering::Acquire));
        false
    }

    fn unpark(&self) {
        if self.variant == Variant::WakesFirst {
            self.wake();
        }
        self.token.store(true, Ordering::Release);
        if self.variant != Variant::WakesFirst {
            self.wake();
        }
    }
}

fn park(variant: Variant) {
    model(move || {
        let me = Arc::new(Thread::new(variant));
        let other = me.clone();
        let other = thread::spawn(move || {
            other.written.with_mut(|_| ());
            other.unpark();
        });
        if me.park() {
            me.written.with(|_| ());
        }
        other.join().unwrap();
        let is_unparked = me.token.load(Ordering::Relaxed);
        let sleeps = me.state() == State::Asleep;
        assert!(!(is_unparked && sleeps), "a wake-up is lost");
    });
}

#[test]
fn no_unpark_is_lost() {
    park(Variant::Kernel);
}

#[test]
#[should_panic(expected = "a wake-up is lost")]
fn control_parks_with_a_look_before_the_lock() {
    park(Variant::LooksBeforeTheLock);
}

#[test]
#[should_panic(expected = "a wake-up is lost")]
fn control_wakes_before_the_token() {
    park(Variant::WakesFirst);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_takes_the_token_relaxed() {
    park(Variant::Relaxed);
}

/// A lock that is slept for, with its queue: one place, which is enough for two threads.
struct SleepingLock {
    is_taken: AtomicBool,
    /// Whether the waiting thread is in the queue.
    queue: Mutex<bool>,
    /// Whether it is in the queue, or about to be woken.
    has_place: AtomicBool,
    waiting: Thread,
    value: UnsafeCell<()>,
}

impl SleepingLock {
    fn take(&self) -> bool {
        let acquire = match self.waiting.variant {
            Variant::Relaxed => Ordering::Relaxed,
            _ => Ordering::Acquire,
        };
        !self.is_taken.swap(true, acquire)
    }

    fn enter(&self) {
        let mut queue = self.queue.lock().unwrap();
        assert!(!self.has_place.swap(true, Ordering::Acquire));
        *queue = true;
    }

    /// `lock` up to the sleep. Says whether it has it.
    fn lock(&self) -> bool {
        if self.take() {
            return true;
        }
        let early = self.waiting.variant == Variant::LooksBeforeTheQueue;
        let mut has = early && self.take();
        self.enter();
        has = has || !early && self.take();
        if !has {
            let is_queued = || self.has_place.load(Ordering::Acquire);
            self.waiting.fall_asleep(is_queued);
        }
        has
    }

    fn wake_all(&self) {
        let is_queued = { std::mem::replace(&mut *self.queue.lock().unwrap(), false) };
        if is_queued {
            self.has_place.store(false, Ordering::Release);
            self.waiting.wake();
        }
    }

    fn unlock(&self) {
        if self.waiting.variant == Variant::WakesFirst {
            self.wake_all();
        }
        self.is_taken.store(false, Ordering::Release);
        if self.waiting.variant != Variant::WakesFirst {
            self.wake_all();
        }
    }
}

/// The lock is held; its owner opens it while another thread wants it.
fn lock(variant: Variant) {
    model(move || {
        let lock = Arc::new(SleepingLock {
            is_taken: AtomicBool::new(true),
            queue: Mutex::new(false),
            has_place: AtomicBool::new(false),
            waiting: Thread::new(variant),
            value: UnsafeCell::new(()),
        });
        let owner = lock.clone();
        let owner = thread::spawn(move || {
            owner.value.with_mut(|_| ());
            owner.unlock();
        });
        if lock.lock() {
            lock.value.with_mut(|_| ());
        }
        owner.join().unwrap();
        let is_open = !lock.is_taken.load(Ordering::Relaxed);
        let sleeps = lock.waiting.state() == State::Asleep;
        assert!(!(is_open && sleeps), "a wake-up is lost");
    });
}

#[test]
fn an_open_lock_has_no_sleeper() {
    lock(Variant::Kernel);
}

#[test]
#[should_panic(expected = "a wake-up is lost")]
fn control_sleeps_with_a_look_before_the_lock() {
    lock(Variant::LooksBeforeTheLock);
}

#[test]
#[should_panic(expected = "a wake-up is lost")]
fn control_looks_before_it_is_in_the_queue() {
    lock(Variant::LooksBeforeTheQueue);
}

#[test]
#[should_panic(expected = "a wake-up is lost")]
fn control_wakes_before_the_lock_is_open() {
    lock(Variant::WakesFirst);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_takes_the_lock_relaxed() {
    lock(Variant::Relaxed);
}
