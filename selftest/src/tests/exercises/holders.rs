//! Exercise 4: which threads block a transition. Seen here; the runner compares that with
//! the reader's prediction. docs/exercises tells what each thread does.

use super::{SOON, deadline};
use crate::check;
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use lab::targets::live;
use livepatch as klp;
use livepatch::Options;
use machine::{arch, console, sync::IrqLock};
use report::Record;
use thread::{Handle, WaitQueue};

/// Replaces [`live::stays`].
const PATCH: &str = "test_klp_stays";

static MAY_END: AtomicBool = AtomicBool::new(false);
static END: WaitQueue = WaitQueue::new();
/// Threads that are where they stay.
static THERE: AtomicU64 = AtomicU64::new(0);
static LETTER: IrqLock<u64> = IrqLock::new(0);

fn ends() -> bool {
    MAY_END.load(Ordering::Relaxed)
}

fn arrive() {
    THERE.fetch_add(1, Ordering::Relaxed);
}

/// Sleeps in the old function.
fn ann() {
    arrive();
    live::stays(live::ASLEEP, 0);
}

/// Sleeps, and calls the function afterwards.
fn bob() {
    arrive();
    END.wait_until(ends);
    live::stays(live::ASLEEP, 0);
}

/// Passes safe points, one after the other, three calls of the old function deep.
fn cid() {
    arrive();
    live::stays(live::AT_SAFE_POINTS, 3);
}

/// Never calls the function, gives way or passes a safe point.
fn dora() {
    arrive();
    while !ends() {
        core::hint::spin_loop();
    }
}

/// Calls other functions of the same module all the time, and passes safe points.
fn eve() {
    arrive();
    while !ends() {
        *LETTER.lock() += live::one(1);
        thread::safe_point();
    }
}

/// Has been in the old function three calls deep, has left it, and sleeps.
fn fay() {
    live::open();
    live::stays(live::ASLEEP, 3);
    live::close();
    arrive();
    END.wait_until(ends);
}

fn spawn(name: &str, body: fn(), threads: &mut Vec<Handle>) -> super::Result {
    let count = THERE.load(Ordering::Relaxed);
    threads.push(thread::spawn(name, body).map_err(|error| error.to_string())?);
    let until = deadline(SOON);
    while THERE.load(Ordering::Relaxed) == count {
        check!(arch::timebase() < until, "`{name}` does not begin");
        thread::yield_now();
    }
    Ok(())
}

/// The threads that block the transition, as soon as they have been the same for a while;
/// with the reasons.
fn held() -> super::Result<Vec<(String, String)>> {
    let until = deadline(SOON);
    let (mut last, mut same) = (Vec::new(), 0);
    while same < 10 {
        check!(
            arch::timebase() < until,
            "the threads that block the transition do not stay the same"
        );
        thread::sleep(Duration::from_millis(5));
        let mut now: Vec<(String, String)> = (klp::progress().into_iter())
            .filter(|one| !one.switched)
            .map(|one| {
                let why = one
                    .blocked
                    .map_or_else(String::new, |held| held.to_string());
                (one.thread.name().to_string(), why)
            })
            .collect();
        now.sort();
        let names =
            |all: &[(String, String)]| all.iter().map(|one| one.0.clone()).collect::<Vec<_>>();
        same = if names(&now) == names(&last) {
            same + 1
        } else {
            0
        };
        last = now;
    }
    Ok(last)
}

fn look() -> super::Result<Vec<(String, String)>> {
    // Ann and Cid.
    live::wait_inside(2);
    let file = loader::find_file(PATCH)?;
    klp::load(file.bytes, Options::default()).map_err(|error| error.to_string())?;
    held()
}

crate::selftest! {
    control;

    /// Tells which threads block the transition.
    fn are_seen() {
        super::must_be_sound()?;
        MAY_END.store(false, Ordering::Relaxed);
        let mut threads = Vec::new();
        let bodies: [(&str, fn()); 6] =
            [("fay", fay), ("ann", ann), ("bob", bob), ("cid", cid), ("eve", eve), ("dora", dora)];
        let all = bodies.iter().try_for_each(|(name, body)| spawn(name, *body, &mut threads));
        let found = all.and_then(|()| look());
        live::open();
        MAY_END.store(true, Ordering::Relaxed);
        END.wake_all();
        for thread in threads {
            thread.join().map_err(|error| error.to_string())?;
        }
        live::close();
        super::settle()?;
        if klp::find(PATCH).is_some() {
            super::remove(PATCH)?;
        }
        for (name, reason) in found? {
            let time = arch::timebase();
            console::report(&Record::Blocked { thread: 0, name: &name, reason: &reason, function: "", time });
        }
        Ok(())
    }
}
