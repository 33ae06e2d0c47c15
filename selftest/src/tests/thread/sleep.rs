//! Sleeping, and the CPU's rest when all do.

use super::{join, leaves_nothing, limit, spawn};
use crate::check;
use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use machine::{arch, cpus, time};

/// Most ticks between a sleep's end and the thread's next step when no other thread wants
/// the CPU: the tick under way when it began, and the one that wakes it.
const SLACK: u64 = 2;

crate::selftest! {
    /// A sleep ends not before its time, and a tick or two afterwards. All other threads
    /// sleep as well: the CPU is ceded meanwhile, and comes back.
    fn sleeps_end_in_time() {
        for millis in [1, 2, 5, 20] {
            let duration = Duration::from_millis(millis);
            // Ticks that the host has kept back are not made up for, so there are
            // never more of them than time went by.
            let most = millis * time::TICKS_PER_SECOND / 1000 + SLACK;
            let limit = limit();
            loop {
                let (start, ticks) = (arch::timebase(), time::ticks());
                thread::sleep(duration);
                let (took, ticks) = (arch::timebase() - start, time::ticks() - ticks);
                check!(took >= time::timebase_ticks(duration), "{millis} ms took {:?}", time::duration(took));
                if ticks <= most {
                    break;
                }
                // The host may keep back the CPU that the thread goes on on, and not the one
                // whose ticks these are.
                let may_be_kept_back = cpus::count() > 1 && arch::timebase() < limit;
                check!(may_be_kept_back, "{millis} ms took {ticks} ticks");
            }
        }
        Ok(())
    }

    /// Sleeping for no time, and past a time that has been, returns.
    fn no_time_is_no_sleep() {
        thread::sleep(Duration::ZERO);
        let unparked = thread::park_until(arch::timebase().saturating_sub(1));
        check!(!unparked, "unparked by no thread");
        Ok(())
    }

    /// Sleeping for longer than the timebase counts is no error; the thread stays
    /// asleep. (It has no end, so it ends with the run.)
    fn longest_sleep() {
        static SLEEPER: AtomicU64 = AtomicU64::new(0);
        let handle = spawn("forever", || {
            SLEEPER.store(1, Ordering::Relaxed);
            thread::sleep(Duration::MAX);
            SLEEPER.store(2, Ordering::Relaxed);
        })?;
        let asleep = || handle.thread().state() == thread::State::Asleep;
        super::until("its sleep", || SLEEPER.load(Ordering::Relaxed) == 1 && asleep())?;
        handle.thread().unpark();
        thread::sleep(Duration::from_millis(2));
        check!(SLEEPER.load(Ordering::Relaxed) == 1 && asleep(), "it woke up");
        Ok(())
    }

    /// Many sleepers with all kinds of times each get theirs, and leave nothing.
    fn sleepers_get_their_own_time() {
        leaves_nothing(|| {
            let early = Arc::new(AtomicU64::new(0));
            let mut handles = Vec::new();
            for number in 0..50 {
                let early = early.clone();
                handles.push(spawn("sleeper", move || {
                    for round in 0..4 {
                        let duration = Duration::from_micros((number * 37 + round * 911) % 5000);
                        let start = arch::timebase();
                        thread::sleep(duration);
                        if arch::timebase() - start < time::timebase_ticks(duration) {
                            early.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })?);
            }
            handles.into_iter().try_for_each(join)?;
            let early = early.load(Ordering::Relaxed);
            check!(early == 0, "{early} woke up too early");
            Ok(())
        })
    }
}
