//! Which code a call runs while a transition begins or has just ended: `Lock::change_with` in
//! `kernel/livepatch/src/registry.rs`, `divert` in `patched.rs`, `end` in `transition.rs`.

use crate::cpus::{Cpus, KERNEL};
use loom::{
    model,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// What may be left out or moved.
#[derive(Clone, Copy, PartialEq)]
enum Variant {
    Kernel,
    /// The next transition's number may be seen before the last one's codes.
    NoWaitBeforeTheNumber,
    /// Codes are written while a call still goes by the last number.
    NoWaitAfterTheNumber,
    /// A call that was interrupted goes by the last number and the next one's code.
    NoSecondLook,
    /// The codes first.
    NumberLast,
    /// Threads may switch before the codes are there.
    PendingBeforeCodes,
}

/// A function that a first patch has replaced, and its calls: 0 is the original, 1 the first
/// patch's, 2 the second's.
struct Function {
    cpus: Cpus<2>,
    number: AtomicU64,
    codes: [AtomicU64; 2],
    /// The number that threads may switch to.
    pending: Mutex<u64>,
    variant: Variant,
}

impl Function {
    /// In the first transition, which enables the first patch.
    fn new(variant: Variant) -> Self {
        Self {
            cpus: Cpus::new(KERNEL),
            number: AtomicU64::new(1),
            codes: [AtomicU64::new(0), AtomicU64::new(1)],
            pending: Mutex::new(0),
            variant,
        }
    }

    /// Which code a call runs, of a thread with this patch state. Interrupts are on.
    fn divert(&self, patch_state: u64) -> u64 {
        loop {
            let number = self.number.load(Ordering::Relaxed);
            self.cpus.take_requests(1, || ());
            let code = self.codes[usize::from(patch_state == number)].load(Ordering::Relaxed);
            let only_look = self.variant == Variant::NoSecondLook;
            if only_look || self.number.load(Ordering::Relaxed) == number {
                return code;
            }
        }
    }

    fn publish(&self, codes: [u64; 2]) {
        for (place, code) in self.codes.iter().zip(codes) {
            place.store(code, Ordering::Relaxed);
        }
    }

    /// The running thread, which has switched to the first patch: calls, with an interrupt in each,
    /// and one or a safe point between them.
    fn thread(&self) {
        let mut patch_state = 1;
        assert_eq!(self.divert(patch_state), patch_state, "another version");
        self.cpus.take_requests(1, || ());
        let pending = *self.pending.lock().unwrap();
        patch_state = patch_state.max(pending);
        assert_eq!(self.divert(patch_state), patch_state, "another version");
    }

    /// The end of the first transition, and the begin of the second. Leaves where it has to go on waiting.
    fn change(&self) -> Option<()> {
        let wait = |but| (self.variant == but || self.cpus.synchronise(0, 1)).then_some(());
        self.publish([1, 1]);
        wait(Variant::NoWaitBeforeTheNumber)?;
        if self.variant == Variant::NumberLast {
            self.publish([1, 2]);
        }
        if self.variant == Variant::PendingBeforeCodes {
            *self.pending.lock().unwrap() = 2;
        }
        self.number.store(2, Ordering::Relaxed);
        wait(Variant::NoWaitAfterTheNumber)?;
        self.publish([1, 2]);
        *self.pending.lock().unwrap() = 2;
        Some(())
    }
}

fn calls(variant: Variant) {
    model(move || {
        let function = Arc::new(Function::new(variant));
        let thread = {
            let function = function.clone();
            thread::spawn(move || function.thread())
        };
        function.change();
        thread.join().unwrap();
    });
}

#[test]
fn a_call_runs_the_code_of_its_threads_side() {
    calls(Variant::Kernel);
}

#[test]
#[should_panic(expected = "another version")]
fn control_no_wait_before_the_number() {
    calls(Variant::NoWaitBeforeTheNumber);
}

#[test]
#[should_panic(expected = "another version")]
fn control_no_wait_after_the_number() {
    calls(Variant::NoWaitAfterTheNumber);
}

#[test]
#[should_panic(expected = "another version")]
fn control_no_second_look() {
    calls(Variant::NoSecondLook);
}

#[test]
#[should_panic(expected = "another version")]
fn control_number_after_the_codes() {
    calls(Variant::NumberLast);
}

#[test]
#[should_panic(expected = "another version")]
fn control_threads_switch_before_the_codes_are_there() {
    calls(Variant::PendingBeforeCodes);
}
