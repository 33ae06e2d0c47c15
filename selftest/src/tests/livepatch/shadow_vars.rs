//! Shadow variables, from a patch's replacement function (test-shadow-vars.sh).

use super::{enable, is_taken_back, remove, undisturbed, unload};
use crate::{
    check,
    tests::{
        Result,
        common::{join, spawn, traced, until},
    },
};
use alloc::{string::String, vec::Vec};
use core::{
    alloc::Layout,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
};
use ftrace::{Flags, Ops};
use lab::targets::live::{self, annotate};
use layout::CallFrame;
use livepatch::shadow;
use machine::time;
use thread::Handle;

/// What the replacement of [`annotate`] does, by number.
const GET: u64 = 0;
const ALLOC: u64 = 1;
const GET_OR_ALLOC: u64 = 2;
const FREE: u64 = 3;
const FREE_ALL: u64 = 4;
const GET_SECOND: u64 = 5;
const ALLOC_SECOND: u64 = 6;
const FREE_ALL_SECOND: u64 = 7;
const ALLOC_EVEN: u64 = 8;
const GET_OR_ALLOC_EVEN: u64 = 9;
const ADD: u64 = 10;
const ALIVE: u64 = 11;
/// The constructor takes 20 ticks, and what it makes owns memory.
const GET_OR_ALLOC_SLOWLY: u64 = 12;
/// How many of these were made, and dropped, since the last time.
const MADE: u64 = 13;
const DROPPED: u64 = 14;
const FREE_SLOW: u64 = 15;
/// The constructor sleeps at the gate, and then does something bad.
const GET_OR_ALLOC_AT_THE_GATE: u64 = 16;
const ASKS_FOR_ANOTHER: u64 = 1;
const PANICS: u64 = 2;
const ONLY_SLEEPS: u64 = 3;

/// There is no value.
const NONE: i64 = -2;

/// Calls with these arguments, which must return so much.
fn calls(expected: &[((u64, u64, u64), i64)]) -> Result {
    for (step, &((object, what, value), expected)) in expected.iter().enumerate() {
        let found = annotate(object, what, value);
        check!(
            found == expected,
            "step {step}: annotate({object}, {what}, {value}) is {found} instead of {expected}"
        );
    }
    Ok(())
}

/// Some objects: nothing but addresses.
const A: u64 = 0x1000;
const B: u64 = 0x2000;
const C: u64 = 0x2001;

/// Runs a test with the patch enabled.
fn patched(test: impl FnOnce() -> Result) -> Result {
    undisturbed(|| {
        check!(annotate(A, GET, 0) == -1, "before");
        enable("test_klp_shadow_vars")?;
        test()?;
        let count = shadow::count();
        check!(count == 0, "{count} variables are left");
        check!(
            annotate(A, ALIVE, 0) == 0,
            "{} values were not dropped",
            annotate(A, ALIVE, 0)
        );
        remove("test_klp_shadow_vars")?;
        check!(annotate(A, GET, 0) == -1, "after");
        Ok(())
    })
}

/// What [`annotate`] has returned to threads, by number. No heap: a thread that is stopped
/// drops nothing.
static RETURNED: [AtomicI64; 8] = [const { AtomicI64::new(NOTHING) }; 8];
/// It has not returned.
const NOTHING: i64 = i64::MIN;

/// Calls [`annotate`] in a thread of its own.
fn in_thread(
    number: usize,
    object: u64,
    what: u64,
    value: u64,
) -> core::result::Result<Handle, String> {
    RETURNED[number].store(NOTHING, Ordering::Relaxed);
    let call = move || RETURNED[number].store(annotate(object, what, value), Ordering::Relaxed);
    spawn("asks", call)
}

fn returned(number: usize) -> i64 {
    RETURNED[number].load(Ordering::Relaxed)
}

/// Attached to the function that makes a variable: makes it first.
static QUICKER: Ops = Ops::new("quicker", be_quicker, Flags::empty());

extern "C" fn be_quicker(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    let _ = shadow::attach(A as usize, 1, Layout::new::<u64>(), None);
}

/// Lets a thread ask for a variable with a constructor that stays at the gate, and then
/// another one for something that has to wait for that.
fn one_waits(kind: u64, what: u64) -> core::result::Result<[Handle; 2], String> {
    let inside = in_thread(0, A, GET_OR_ALLOC_AT_THE_GATE, kind)?;
    live::wait_inside(1);
    let waiting = in_thread(1, B, what, 7)?;
    until("the second one's sleep", || {
        waiting.thread().state() == thread::State::Asleep
    })?;
    check!(returned(0) == NOTHING, "the constructor has returned");
    Ok([inside, waiting])
}

/// A constructor that does something bad, while another thread waits for it.
fn a_faulty_constructor(kind: u64) -> Result {
    undisturbed(|| {
        enable("test_klp_shadow_vars")?;
        let [faulting, waiting] = one_waits(kind, GET_OR_ALLOC)?;
        live::open();
        check!(faulting.join().is_err(), "the thread has returned");
        join(waiting)?;
        live::close();
        check!(returned(1) == 7, "the other one got {}", returned(1));
        is_taken_back("test_klp_shadow_vars")?;
        check!(shadow::count() == 1, "there are {}", shadow::count());
        shadow::detach(B as usize, 0x1234, None);
        unload("test_klp_shadow_vars")
    })
}

crate::selftest! {
    /// Made once, found, and freed once; each object has its own.
    fn get_alloc_free() {
        patched(|| calls(&[
            ((A, GET, 0), NONE),
            ((A, ALLOC, 5), 5),
            ((A, GET, 0), 5),
            ((A, ALLOC, 6), NONE),
            ((A, GET, 0), 5),
            ((B, GET, 0), NONE),
            ((B, ALLOC, 7), 7),
            ((A, ADD, 10), 5),
            ((A, GET, 0), 15),
            ((B, GET, 0), 7),
            ((A, ALIVE, 0), 2),
            ((A, FREE, 0), 0),
            ((A, GET, 0), NONE),
            ((A, ALIVE, 0), 1),
            ((A, FREE, 0), 0),
            ((B, GET, 0), 7),
            ((B, FREE, 0), 0),
        ]))
    }

    /// Made if there is none, and only then.
    fn get_or_alloc() {
        patched(|| calls(&[
            ((A, GET_OR_ALLOC, 5), 5),
            ((A, GET_OR_ALLOC, 6), 5),
            ((A, ALIVE, 0), 1),
            ((A, ALLOC, 6), NONE),
            ((A, ALIVE, 0), 1),
            ((A, FREE, 0), 0),
            ((A, GET_OR_ALLOC, 6), 6),
            ((A, FREE, 0), 0),
        ]))
    }

    /// Two kinds on one object do not meet.
    fn two_ids_on_one_object() {
        patched(|| calls(&[
            ((A, ALLOC, 5), 5),
            ((A, GET_SECOND, 0), NONE),
            ((A, ALLOC_SECOND, 8), 8),
            ((B, ALLOC_SECOND, 9), 9),
            ((A, GET, 0), 5),
            ((A, GET_SECOND, 0), 8),
            ((A, FREE, 0), 0),
            ((A, GET_SECOND, 0), 8),
            ((A, FREE_ALL_SECOND, 0), 0),
            ((A, GET_SECOND, 0), NONE),
            ((B, GET_SECOND, 0), NONE),
        ]))
    }

    /// All of a kind are freed, each is dropped, and the others stay.
    fn free_all() {
        patched(|| calls(&[
            ((A, ALLOC, 1), 1),
            ((B, ALLOC, 2), 2),
            ((C, ALLOC, 3), 3),
            ((B, ALLOC_SECOND, 4), 4),
            ((A, ALIVE, 0), 3),
            ((A, FREE_ALL, 0), 0),
            ((A, ALIVE, 0), 0),
            ((A, GET, 0), NONE),
            ((B, GET, 0), NONE),
            ((C, GET, 0), NONE),
            ((B, GET_SECOND, 0), 4),
            ((A, FREE_ALL, 0), 0),
            ((A, FREE_ALL_SECOND, 0), 0),
        ]))
    }

    /// A constructor that refuses leaves nothing; one that is not asked can't refuse.
    fn refusing_constructor() {
        patched(|| {
            calls(&[
                ((A, ALLOC_EVEN, 3), NONE),
                ((A, GET, 0), NONE),
                ((A, GET_OR_ALLOC_EVEN, 3), NONE),
                ((A, ALIVE, 0), 0),
            ])?;
            check!(shadow::count() == 0, "there is one");
            calls(&[
                ((A, GET_OR_ALLOC_EVEN, 4), 4),
                ((A, GET_OR_ALLOC_EVEN, 5), 4),
                ((A, ALIVE, 0), 1),
                ((A, FREE, 0), 0),
                ((A, ALLOC_EVEN, 6), 6),
                ((A, FREE, 0), 0),
            ])
        })
    }

    /// A thousand objects.
    fn many_objects() {
        patched(|| {
            for object in 1..=1000 {
                calls(&[((object, ALLOC, 7 * object), 7 * object as i64)])?;
            }
            check!(shadow::count() == 1000, "there are {}", shadow::count());
            for object in 1..=1000 {
                calls(&[((object, GET, 0), 7 * object as i64)])?;
            }
            for object in (1..=1000).step_by(2) {
                calls(&[((object, FREE, 0), 0)])?;
            }
            calls(&[((1, GET, 0), NONE), ((2, GET, 0), 14), ((0, ALIVE, 0), 500), ((0, FREE_ALL, 0), 0)])
        })
    }

    /// Variables outlive the patch that has made them, until they are freed.
    fn outlive_the_patch() {
        undisturbed(|| {
            enable("test_klp_shadow_vars")?;
            calls(&[((A, ALLOC_SECOND, 9), 9)])?;
            remove("test_klp_shadow_vars")?;
            check!(shadow::count() == 1, "it has gone");
            enable("test_klp_shadow_vars")?;
            calls(&[((A, GET_SECOND, 0), 9), ((A, FREE_ALL_SECOND, 0), 0)])?;
            remove("test_klp_shadow_vars")
        })
    }

    /// Eight threads ask for one variable. Its constructor takes long: it runs once, all
    /// get what it made, and that is dropped once.
    fn made_once() {
        patched(|| {
            let ask = |number| in_thread(number, A, GET_OR_ALLOC_SLOWLY, 100 + number as u64);
            let asking: Vec<_> = (0..RETURNED.len()).map(ask).collect();
            for thread in asking {
                join(thread?)?;
            }
            let found: Vec<_> = (0..RETURNED.len()).map(returned).collect();
            let same = (100..108).contains(&found[0]) && found.iter().all(|one| *one == found[0]);
            check!(same, "they got {found:?}");
            calls(&[((0, MADE, 0), 1), ((0, DROPPED, 0), 0), ((A, FREE_SLOW, 0), 0), ((0, DROPPED, 0), 1)])
        })
    }

    /// Another caller makes the variable while this one is about to: the answer is the
    /// other's.
    fn found_when_others_were_quicker() {
        undisturbed(|| {
            let found = traced(&QUICKER, &["livepatch::shadow::make"], || {
                shadow::get_or_attach(A as usize, 1, Layout::new::<u64>(), None)
            })?;
            let there = shadow::get(A as usize, 1);
            shadow::detach(A as usize, 1, None);
            check!(there.is_some(), "the other one has made none");
            check!(found == there, "{found:?} instead of {there:?}");
            Ok(())
        })
    }

    /// A constructor that asks for a variable to be made would wait for itself: its thread
    /// is stopped and the patch taken back, with a sentence. Those that wait go on.
    fn constructor_that_asks() {
        a_faulty_constructor(ASKS_FOR_ANOTHER)
    }

    /// The same for one that panics.
    fn constructor_that_panics() {
        a_faulty_constructor(PANICS)
    }

    /// A constructor may sleep; a caller that makes another variable waits, and one that
    /// finds or frees a variable does not.
    fn constructor_that_sleeps() {
        patched(|| {
            calls(&[((C, ALLOC, 5), 5)])?;
            let [sleeping, waiting] = one_waits(ONLY_SLEEPS, ALLOC)?;
            calls(&[((A, GET_SECOND, 0), NONE), ((C, GET_OR_ALLOC, 6), 5), ((C, FREE, 0), 0)])?;
            check!(returned(1) == NOTHING, "it was not waited for, and got {}", returned(1));
            live::open();
            join(sleeping)?;
            join(waiting)?;
            live::close();
            check!([returned(0), returned(1)] == [0, 7], "{} and {}", returned(0), returned(1));
            calls(&[((A, GET_SECOND, 0), 3), ((A, FREE_ALL_SECOND, 0), 0), ((B, FREE, 0), 0)])
        })
    }

    /// An interrupt handler can't wait: it gets none while a thread makes one, and can make
    /// one otherwise.
    fn asked_for_by_an_interrupt() {
        /// What the handler got: while a constructor slept, and when none did.
        static GOT: [AtomicI64; 2] = [const { AtomicI64::new(NOTHING) }; 2];
        static TURN: AtomicU64 = AtomicU64::new(0);
        fn hook() {
            let turn = TURN.load(Ordering::Relaxed) as usize;
            if let Some(got) = GOT.get(turn) && got.load(Ordering::Relaxed) == NOTHING {
                got.store(annotate(B, GET_OR_ALLOC, 9), Ordering::Relaxed);
            }
        }
        patched(|| {
            for got in &GOT {
                got.store(NOTHING, Ordering::Relaxed);
            }
            let asks = |turn: usize| -> Result {
                TURN.store(turn as u64, Ordering::Relaxed);
                time::call_on_tick(hook);
                let came = until("a tick", || GOT[turn].load(Ordering::Relaxed) != NOTHING);
                time::stop_calling();
                came
            };
            let sleeping = in_thread(0, A, GET_OR_ALLOC_AT_THE_GATE, ONLY_SLEEPS)?;
            live::wait_inside(1);
            asks(0)?;
            live::open();
            join(sleeping)?;
            live::close();
            asks(1)?;
            let got = GOT.each_ref().map(|got| got.load(Ordering::Relaxed));
            check!(got == [NONE, 9], "{got:?}");
            calls(&[((A, FREE_ALL_SECOND, 0), 0), ((B, FREE, 0), 0)])
        })
    }
}
