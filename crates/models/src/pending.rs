//! Threads switch while a transition is turned round and ends: `at_safe_point` and `try_all` in
//! `kernel/livepatch/src/switching.rs`, `publish`, `turn_round` and `end` in `transition.rs`.

use loom::{
    cell::UnsafeCell,
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
    /// A thread switches by what it has copied, when the lock is open again.
    SwitchesLater,
    /// The reversal is not published under the lock.
    NotPublished,
}

/// The patch state before the transition, and its number.
const OLD: u64 = 1;
const NUMBER: u64 = 2;

struct Transition {
    /// The patch state that threads are to have, while the transition runs.
    pending: Mutex<Option<u64>>,
    /// The same for a quick look; 0 if none runs.
    wanted: AtomicU64,
    patch_state: AtomicU64,
    /// The code of the patch.
    code: UnsafeCell<()>,
    variant: Variant,
}

impl Transition {
    fn new(variant: Variant) -> Self {
        Self {
            pending: Mutex::new(Some(NUMBER)),
            wanted: AtomicU64::new(NUMBER),
            patch_state: AtomicU64::new(OLD),
            code: UnsafeCell::new(()),
            variant,
        }
    }

    fn at_safe_point(&self) {
        let own = self.patch_state.load(Ordering::Relaxed);
        if own == self.wanted.load(Ordering::Relaxed) {
            return;
        }
        let pending = self.pending.lock().unwrap();
        let goal = *pending;
        if self.variant == Variant::SwitchesLater {
            drop(pending);
            self.switch(goal);
        } else {
            self.switch(goal);
            drop(pending);
        }
    }

    fn switch(&self, goal: Option<u64>) {
        if let Some(goal) = goal {
            self.patch_state.store(goal, Ordering::Relaxed);
        }
    }

    fn call(&self) {
        if self.patch_state.load(Ordering::Relaxed) == NUMBER {
            self.code.with(|_| ());
        }
    }

    /// The transition, which enables the patch, is turned round; and ends, if the thread is on the old side.
    fn turn_round(&self) {
        {
            let mut pending = self.pending.lock().unwrap();
            if self.variant != Variant::NotPublished {
                *pending = Some(OLD);
            }
            self.wanted.store(OLD, Ordering::Relaxed);
        }
        self.try_to_end();
    }

    fn try_to_end(&self) {
        let has_switched = {
            let _pending = self.pending.lock().unwrap();
            self.patch_state.load(Ordering::Relaxed) == OLD
        };
        if has_switched {
            *self.pending.lock().unwrap() = None;
            self.code.with_mut(|_| ());
        }
    }
}

fn turn_round(variant: Variant) {
    model(move || {
        let transition = Arc::new(Transition::new(variant));
        let thread = {
            let transition = transition.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    transition.at_safe_point();
                    transition.call();
                }
            })
        };
        transition.turn_round();
        thread.join().unwrap();
        // What comes later: the thread sees what is wanted, and the worker looks again.
        transition.at_safe_point();
        assert_eq!(transition.patch_state.load(Ordering::Relaxed), OLD);
    });
}

#[test]
fn no_thread_switches_by_what_no_longer_holds() {
    turn_round(Variant::Kernel);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_switches_when_the_lock_is_open() {
    turn_round(Variant::SwitchesLater);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_a_reversal_that_is_not_published() {
    turn_round(Variant::NotPublished);
}
