//! Threads of every kind switch, or don't.

use super::super::{Staying, enable, ends_as, held_by, is, remove, start, text, undisturbed};
use crate::{
    check,
    tests::common::{let_ticks_come, spawn, until},
};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use lab::targets::live;
use livepatch as klp;
use livepatch::{Event, How, Status};
use machine::{arch, sync::IrqLock, time};
use thread::Thread;

const STAYS: &str = "test_klp_stays";
const PLAIN: &str = "test_klp_livepatch";
const IN_OLD: &str = "lab::targets::live::stays is on its stack";

/// The threads that have switched, and how.
static SWITCHED: IrqLock<Vec<(String, How)>> = IrqLock::new(Vec::new());

fn observe(event: &Event<'_>) {
    if let Event::Switched { thread, how } = event {
        SWITCHED.lock().push((thread.name().to_string(), *how));
    }
}

/// How a thread has switched, since the last question. A thread can be asked about
/// once.
fn how(name: &str) -> Vec<How> {
    let switched = SWITCHED.lock();
    let of = switched.iter().filter(|(thread, _)| thread == name);
    of.map(|&(_, how)| how).collect()
}

/// Runs a test with an observer.
fn observed(test: impl FnOnce() -> crate::tests::Result) -> crate::tests::Result {
    klp::observe(Some(observe));
    let result = test();
    klp::observe(None);
    *SWITCHED.lock() = Vec::new();
    result
}

/// Checks that a thread has switched once, in this way.
fn went(name: &str, expected: How) -> crate::tests::Result {
    let found = how(name);
    SWITCHED.lock().clear();
    println!(
        "{name} switched: {}",
        found
            .first()
            .map_or_else(String::new, |how| format!("{how}"))
    );
    check!(
        found == [expected],
        "`{name}` switched {found:?}, not {expected:?}"
    );
    Ok(())
}

crate::selftest! {
    /// A thread that sleeps somewhere else switches in its sleep.
    fn asleep_elsewhere() {
        undisturbed(|| observed(|| {
            let staying = Staying::start("elsewhere", 0, || {
                live::test_stay(live::ASLEEP);
                live::one(0)
            })?;
            enable(PLAIN)?;
            went("elsewhere", How::Asleep)?;
            staying.returns(11)?;
            remove(PLAIN)
        }))
    }

    /// A thread that never sleeps switches at its next safe point.
    fn awake() {
        undisturbed(|| observed(|| {
            let shared = Arc::new((AtomicBool::new(false), AtomicU64::new(0)));
            let its_own = shared.clone();
            let handle = spawn("awake", move || {
                let (stop, rounds) = &*its_own;
                while !stop.load(Ordering::Relaxed) {
                    thread::safe_point();
                    rounds.fetch_add(1, Ordering::Relaxed);
                    // Long enough to be taken off the CPU here, and not at the safe point.
                    let now = time::ticks();
                    while time::ticks() < now + 2 {
                        core::hint::spin_loop();
                    }
                }
            })?;
            until("its loop", || shared.1.load(Ordering::Relaxed) > 0)?;
            enable(PLAIN)?;
            went("awake", How::SafePoint)?;
            shared.0.store(true, Ordering::Relaxed);
            handle.join().map_err(text)?;
            remove(PLAIN)
        }))
    }

    /// A thread asleep in the old function switches when it has left it.
    fn asleep_in_the_old_function() {
        undisturbed(|| observed(|| {
            let staying = Staying::in_target("sleeper", 0, live::ASLEEP, 0)?;
            start(STAYS)?;
            held_by("sleeper", IN_OLD)?;
            check!(how("sleeper").is_empty(), "it has switched");
            let returned = staying.leave();
            ends_as(STAYS, Some(Status::Enabled))?;
            check!(returned == 1, "it got {returned}");
            let ways = how("sleeper").len();
            check!(ways == 1, "it switched {ways} times");
            staying.end()?;
            remove(STAYS)
        }))
    }

    /// The thread that enables the patch is in the old function itself: what it finds on
    /// its own stack counts like what is on others'.
    fn enabled_from_the_old_function() {
        static FOUND: IrqLock<Option<Result<(), String>>> = IrqLock::new(None);
        fn hook() {
            let found = start(STAYS).and_then(|_| held_by("main", IN_OLD));
            *FOUND.lock() = Some(found);
        }
        undisturbed(|| {
            live::at_gate(Some(hook));
            let returned = live::stays(live::CALLING, 0);
            live::at_gate(None);
            FOUND.lock().take().ok_or("it did not get there")??;
            check!(returned == 1, "it got {returned}");
            ends_as(STAYS, Some(Status::Enabled))?;
            remove(STAYS)
        })
    }

    /// Deep in recursion through it, which goes on by the old function.
    fn deep_in_recursion() {
        undisturbed(|| {
            let staying = Staying::in_target("deep", 0, live::ASLEEP, 30)?;
            start(STAYS)?;
            held_by("deep", IN_OLD)?;
            let deep_in_new = Staying::in_target("deep in new", 1, live::ASLEEP, 30)?;
            let both = (staying.leave(), deep_in_new.leave());
            check!(both == (1, 2), "they got {both:?}");
            ends_as(STAYS, Some(Status::Enabled))?;
            staying.end()?;
            deep_in_new.end()?;
            remove(STAYS)
        })
    }

    /// In it by its address.
    fn called_by_pointer() {
        undisturbed(|| {
            let by_address: extern "C" fn(u64, u64) -> u64 = black_box(live::stays);
            let staying = Staying::start("pointer", 0, move || by_address(live::ASLEEP, 0))?;
            start(STAYS)?;
            held_by("pointer", IN_OLD)?;
            let new = Staying::start("new", 1, move || by_address(live::ASLEEP, 0))?;
            let both = (staying.leave(), new.leave());
            check!(both == (1, 2), "they got {both:?}");
            ends_as(STAYS, Some(Status::Enabled))?;
            staying.end()?;
            new.end()?;
            remove(STAYS)
        })
    }

    /// A safe point inside the old function is none.
    fn safe_point_in_the_old_function() {
        undisturbed(|| observed(|| {
            let staying = Staying::in_target("inside", 0, live::AT_SAFE_POINTS, 0)?;
            start(STAYS)?;
            let before = live::safe_points();
            while live::safe_points() < before + 100 {
                thread::yield_now();
            }
            is(STAYS, Some(Status::Enabling))?;
            check!(how("inside").is_empty(), "it has switched");
            staying.returns(1)?;
            ends_as(STAYS, Some(Status::Enabled))?;
            remove(STAYS)
        }))
    }

    /// A thread that an interrupt has taken off the CPU in the old function is not
    /// believed, whatever its stack shows.
    fn interrupted_in_the_old_function() {
        undisturbed(|| {
            let staying = Staying::in_target("spinner", 0, live::SPINNING, 0)?;
            start(STAYS)?;
            let progress = klp::progress();
            let held = progress.iter().find(|one| one.thread.name() == "spinner");
            let reason = held.and_then(|one| one.blocked);
            check!(matches!(reason, Some(klp::Blocked::Unreliable(_))), "held by {reason:?}");
            drop(progress);
            staying.returns(1)?;
            ends_as(STAYS, Some(Status::Enabled))?;
            remove(STAYS)
        })
    }

    /// Threads inherit the side of the thread that makes them.
    fn spawned_in_a_transition() {
        undisturbed(|| {
            let old = Staying::start("old", 0, || {
                // Both the parent and the child are on the old side: the parent is in
                // the old function all the while.
                extern "C" fn body(how: u64) -> u64 {
                    live::stays(how, 0)
                }
                body(live::ASLEEP)
            })?;
            start(STAYS)?;
            let patch_state = old.thread().patch_state();
            let here = thread::with_current(Thread::patch_state).unwrap_or(0);
            check!(patch_state != here, "both sides are {here}");
            let made = Arc::new(AtomicU64::new(u64::MAX));
            let its_own = made.clone();
            let handle = spawn("new", move || {
                let mine = thread::with_current(Thread::patch_state).unwrap_or(0);
                its_own.store(mine, Ordering::Relaxed);
            })?;
            let before_it_ran = handle.thread().patch_state();
            handle.join().map_err(text)?;
            let found = (before_it_ran, made.load(Ordering::Relaxed));
            check!(found == (here, here), "made on {here}, it is on {found:?}");
            old.returns(1)?;
            ends_as(STAYS, Some(Status::Enabled))?;
            remove(STAYS)
        })
    }

    /// A thread on the old side makes one: that is on the old side too, until it switches.
    fn spawned_from_the_old_side() {
        static PATCH_STATES: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
        undisturbed(|| observed(|| {
            let parent = Staying::start("parent", 0, || {
                live::test_stay(live::SPINNING);
                // Not at a safe point since then. Interrupts are off, so that no thread of this
                // CPU looks at the child before we do; one of another CPU may.
                let off = arch::interrupts_off();
                let child = thread::spawn("child", || ());
                let mine = thread::with_current(Thread::patch_state).unwrap_or(0);
                PATCH_STATES[0].store(mine, Ordering::Relaxed);
                if let Ok(child) = &child {
                    let its = child.thread().patch_state();
                    PATCH_STATES[1].store(its, Ordering::Relaxed);
                }
                drop(off);
                child.map_or(0, |child| u64::from(child.join().is_ok()))
            })?;
            start(PLAIN)?;
            is(PLAIN, Some(Status::Enabling))?;
            let here = thread::with_current(Thread::patch_state).unwrap_or(0);
            parent.returns(1)?;
            let found = PATCH_STATES.each_ref().map(|one| one.load(Ordering::Relaxed));
            ends_as(PLAIN, Some(Status::Enabled))?;
            // A thread that is made on the new side never switches.
            let was_old = found[1] == here - 1 || !how("child").is_empty();
            check!(found[0] == here - 1 && was_old, "parent and child were on {found:?}, this thread on {here}");
            remove(PLAIN)
        }))
    }

    /// Calls from an interrupt handler run the side of the interrupted thread.
    fn called_from_an_interrupt() {
        static CALLS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
        static WRONG: AtomicU64 = AtomicU64::new(0);
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        fn hook() {
            let patched = live::one(0) == 11;
            let number = NUMBER.load(Ordering::Relaxed);
            let expected = thread::with_current(Thread::patch_state) == Some(number);
            CALLS[usize::from(patched)].fetch_add(1, Ordering::Relaxed);
            WRONG.fetch_add(u64::from(number != 0 && expected != patched), Ordering::Relaxed);
        }
        undisturbed(|| {
            for count in [&CALLS[0], &CALLS[1], &WRONG, &NUMBER] {
                count.store(0, Ordering::Relaxed);
            }
            // Spins, and so has most of the ticks; on the old side, since it has no
            // safe point there.
            let spinner = Staying::start("spinner", 0, || {
                live::test_stay(live::SPINNING);
                0
            })?;
            time::call_on_tick(hook);
            let_ticks_come(10);
            start(PLAIN)?;
            let number = klp::running().ok_or("no transition runs")?.number;
            NUMBER.store(number, Ordering::Relaxed);
            let_ticks_come(20);
            is(PLAIN, Some(Status::Enabling))?;
            NUMBER.store(0, Ordering::Relaxed);
            spinner.returns(0)?;
            ends_as(PLAIN, Some(Status::Enabled))?;
            let old = CALLS[0].load(Ordering::Relaxed);
            let_ticks_come(10);
            time::stop_calling();
            let later = CALLS[0].load(Ordering::Relaxed);
            let (new, wrong) = (CALLS[1].load(Ordering::Relaxed), WRONG.load(Ordering::Relaxed));
            check!(wrong == 0, "{wrong} calls were wrong, of {old} old and {new} new ones");
            check!(old > 0 && new > 0, "{old} old and {new} new calls");
            check!(old == later, "{} old calls after the transition", later - old);
            remove(PLAIN)
        })
    }
}
