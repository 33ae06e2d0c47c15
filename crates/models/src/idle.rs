//! A CPU that sleeps has done what its safe point is for: `run_idle` and `wake_idle` in
//! `kernel/thread/src/scheduler/start.rs`, `set_pending` in `patch_state.rs`.

use loom::{
    model,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// What may be wrong.
#[derive(Clone, Copy, PartialEq)]
enum Variant {
    Kernel,
    /// The CPU sleeps without a second look.
    NoSecondLook,
    /// It looks before the lock.
    LooksBeforeTheLock,
    /// What is wanted may not be seen yet when its number is.
    Relaxed,
    /// What is wanted changes without a word, as if a reversal did not tell.
    NotTold,
}

struct Idle {
    /// What a transition wants of the idle thread.
    wanted: AtomicU64,
    /// Counts the changes of what is wanted.
    times: AtomicU64,
    /// Whether the CPU is known to sleep.
    scheduler: Mutex<bool>,
    /// How many interrupts were sent. Changed and looked at by additions alone, which read the
    /// last value.
    ipis: AtomicU64,
    variant: Variant,
}

impl Idle {
    fn new(variant: Variant) -> Self {
        Self {
            wanted: AtomicU64::new(0),
            times: AtomicU64::new(0),
            scheduler: Mutex::new(false),
            ipis: AtomicU64::new(0),
            variant,
        }
    }

    fn times(&self) -> u64 {
        self.times.load(match self.variant {
            Variant::Relaxed => Ordering::Relaxed,
            _ => Ordering::Acquire,
        })
    }

    /// Runs until the CPU sleeps, and no interrupt has come. Returns the idle thread's patch
    /// state then, and how many interrupts it has had; none if it does not sleep after a few rounds.
    fn run(&self) -> Option<(u64, u64)> {
        let mut taken = 0;
        for _ in 0..3 {
            let seen = self.times();
            let patch_state = self.wanted.load(Ordering::Relaxed);
            let early = self.variant == Variant::LooksBeforeTheLock && self.times() == seen;
            let mut is_sleeping = self.scheduler.lock().unwrap();
            let may_sleep = match self.variant {
                Variant::NoSecondLook => true,
                Variant::LooksBeforeTheLock => early,
                _ => self.times() == seen,
            };
            if may_sleep {
                *is_sleeping = true;
                drop(is_sleeping);
                let sent = self.ipis.fetch_add(0, Ordering::Relaxed);
                if sent == taken {
                    return Some((patch_state, taken));
                }
                taken = sent;
            }
        }
        None
    }

    /// A transition begins or is turned round.
    fn want(&self, patch_state: u64) {
        self.wanted.store(patch_state, Ordering::Relaxed);
        if self.variant == Variant::NotTold {
            return;
        }
        self.times.fetch_add(1, Ordering::Release);
        let is_woken = std::mem::replace(&mut *self.scheduler.lock().unwrap(), false);
        // With the lock open: the CPU wants it first of all.
        if is_woken {
            self.ipis.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What is wanted changes, and the CPU has nothing to do meanwhile.
fn transition(variant: Variant) {
    model(move || {
        let idle = Arc::new(Idle::new(variant));
        let cpu = {
            let idle = idle.clone();
            thread::spawn(move || idle.run())
        };
        idle.want(1);
        let asleep = cpu.join().unwrap();
        let sent = idle.ipis.fetch_add(0, Ordering::Relaxed);
        if let Some((patch_state, taken)) = asleep
            && taken == sent
        {
            assert_eq!(patch_state, 1, "it sleeps, and has not switched");
        }
    });
}

#[test]
fn an_idle_cpu_has_switched() {
    transition(Variant::Kernel);
}

#[test]
#[should_panic(expected = "it sleeps, and has not switched")]
fn control_no_second_look() {
    transition(Variant::NoSecondLook);
}

#[test]
#[should_panic(expected = "it sleeps, and has not switched")]
fn control_second_look_before_the_lock() {
    transition(Variant::LooksBeforeTheLock);
}

#[test]
#[should_panic(expected = "it sleeps, and has not switched")]
fn control_counts_relaxed() {
    transition(Variant::Relaxed);
}

#[test]
#[should_panic(expected = "it sleeps, and has not switched")]
fn control_no_cpu_is_told() {
    transition(Variant::NotTold);
}
