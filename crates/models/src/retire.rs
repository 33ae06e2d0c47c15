//! Code that nothing leads to any more is freed when no thread is in it: `reclaim` in
//! `kernel/ftrace/src/retired.rs`, `look_at` in `kernel/thread/src/backtrace/reach.rs`, `call_on_others`.

use crate::cpus::{Cpus, KERNEL};
use loom::{
    cell::UnsafeCell,
    model,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use std::cell::Cell;

/// What may be left out.
#[derive(Clone, Copy, PartialEq)]
enum Variant {
    Kernel,
    /// A CPU may still have the old word of the site.
    NoSynchronise,
    /// No look at a thread that runs elsewhere.
    OnlyThoseThatWait,
    /// No look at a thread that does not run.
    OnlyThoseThatRun,
    /// A thread that has left its CPU before that looks counts as seen.
    OneLook,
}

/// What the scheduler knows of the thread.
#[derive(Clone, Copy)]
enum State {
    Running,
    /// Whether its stack leads into the code.
    Waiting {
        is_in_it: bool,
    },
}

struct Kernel {
    cpus: Cpus<2>,
    /// Whether the site leads to the code.
    site: AtomicBool,
    code: UnsafeCell<()>,
    scheduler: Mutex<State>,
    /// The call that has the other CPU look: whether it was made, whether the thread ran there, and
    /// whether it was in the code.
    is_done: AtomicBool,
    found: Mutex<(bool, bool)>,
    variant: Variant,
}

impl Kernel {
    /// The CPU on which the thread runs. It is in the code while `is_in_it`, and `fetched` is
    /// the word of the site that the CPU has: it gets a new one for certain when it takes part in a
    /// synchronisation.
    fn thread(&self) {
        let fetched = Cell::new(self.site.load(Ordering::Relaxed));
        let interrupt = |is_in_it| {
            let before = self.cpus.synchronised(1);
            self.cpus
                .take_requests(1, || self.look_here(true, is_in_it));
            if self.cpus.synchronised(1) != before {
                fetched.set(self.site.load(Ordering::Relaxed));
            }
        };
        interrupt(false);
        let is_in_it = fetched.get();
        interrupt(is_in_it);
        // It is taken off the CPU here, and put back.
        *self.scheduler.lock().unwrap() = State::Waiting { is_in_it };
        self.cpus.take_requests(1, || self.look_here(false, false));
        *self.scheduler.lock().unwrap() = State::Running;
        interrupt(is_in_it);
        if is_in_it {
            self.code.with(|_| ());
        }
        interrupt(false);
    }

    /// The handler's look at what it has interrupted.
    fn look_here(&self, is_this_thread: bool, is_in_it: bool) {
        *self.found.lock().unwrap() = (is_this_thread, is_in_it);
        self.is_done.store(true, Ordering::Release);
    }

    /// Whether the thread is in the code. Leaves where it has to go on waiting or looking.
    fn is_held(&self) -> Option<bool> {
        let state = *self.scheduler.lock().unwrap();
        match state {
            State::Waiting { .. } if self.variant == Variant::OnlyThoseThatRun => Some(false),
            State::Running if self.variant == Variant::OnlyThoseThatWait => Some(false),
            State::Waiting { is_in_it } => Some(is_in_it),
            State::Running => {
                self.cpus.ask_for_call(1);
                self.is_done.load(Ordering::Acquire).then_some(())?;
                let (was_this_thread, is_in_it) = *self.found.lock().unwrap();
                (was_this_thread || self.variant == Variant::OneLook).then_some(is_in_it)
            }
        }
    }

    fn free(&self) -> Option<()> {
        self.site.store(false, Ordering::Relaxed);
        if self.variant != Variant::NoSynchronise {
            self.cpus.synchronise(0, 1).then_some(())?;
        }
        if !self.is_held()? {
            self.code.with_mut(|_| ());
        }
        Some(())
    }
}

fn retire(variant: Variant) {
    model(move || {
        let kernel = Arc::new(Kernel {
            cpus: Cpus::new(KERNEL),
            site: AtomicBool::new(true),
            code: UnsafeCell::new(()),
            scheduler: Mutex::new(State::Running),
            is_done: AtomicBool::new(false),
            found: Mutex::new((false, false)),
            variant,
        });
        let thread = {
            let kernel = kernel.clone();
            thread::spawn(move || kernel.thread())
        };
        kernel.free();
        thread.join().unwrap();
    });
}

#[test]
fn code_is_freed_when_no_thread_is_in_it() {
    retire(Variant::Kernel);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_freed_while_a_cpu_has_the_old_site() {
    retire(Variant::NoSynchronise);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_no_look_at_threads_that_run() {
    retire(Variant::OnlyThoseThatWait);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_no_look_at_threads_that_wait() {
    retire(Variant::OnlyThoseThatRun);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_a_look_that_came_too_late_counts() {
    retire(Variant::OneLook);
}
