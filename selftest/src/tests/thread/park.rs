//! Parking, unparking, and waiting for something to become true.

use super::{super::heap, join, leaves_nothing, limit, spawn, until};
use crate::check;
use alloc::{sync::Arc, vec::Vec};
use core::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use machine::{arch, mm, time};
use thread::{State, Thread, WaitQueue};

/// Rounds of the game between two threads.
const ROUNDS: u64 = 10_000;

/// Timebase in so many milliseconds.
fn in_millis(millis: u64) -> u64 {
    arch::timebase() + time::timebase_ticks(Duration::from_millis(millis))
}

/// One side of the game: waits for its turn, and gives it to `other`. Returns in which
/// round it was not woken.
fn play(ball: &AtomicU64, mine: u64, other: &Thread) -> Option<u64> {
    for round in 0..ROUNDS {
        while ball.load(Ordering::Relaxed) != mine {
            if !thread::park_until(limit()) {
                return Some(round);
            }
        }
        ball.store(1 - mine, Ordering::Relaxed);
        other.unpark();
    }
    None
}

crate::selftest! {
    /// An unpark from before counts, once.
    fn unpark_comes_first() {
        let me = thread::current();
        me.unpark();
        me.unpark();
        check!(thread::park_until(limit()), "the unpark from before got lost");
        let deadline = in_millis(3);
        check!(!thread::park_until(deadline), "two unparks count twice");
        check!(arch::timebase() >= deadline, "it was given up before its time");
        Ok(())
    }

    /// Unparking a sleeper does not shorten its sleep, and counts for its next park.
    fn sleepers_keep_the_token() {
        let took = Arc::new((AtomicU64::new(0), AtomicBool::new(false)));
        let shared = took.clone();
        let handle = spawn("sleeper", move || {
            let start = arch::timebase();
            thread::sleep(Duration::from_millis(5));
            shared.0.store(arch::timebase() - start, Ordering::Relaxed);
            shared.1.store(thread::park_until(limit()), Ordering::Relaxed);
        })?;
        until("its sleep", || handle.thread().state() == State::Asleep)?;
        handle.thread().unpark();
        join(handle)?;
        let time = took.0.load(Ordering::Relaxed);
        check!(time >= time::timebase_ticks(Duration::from_millis(5)), "5 ms took {:?}", time::duration(time));
        check!(took.1.load(Ordering::Relaxed), "the token got lost in the sleep");
        Ok(())
    }

    /// Unparking a thread that has ended does nothing.
    fn ended_threads_are_not_woken() {
        let handle = spawn("short", || ())?;
        let thread = handle.thread().clone();
        until("its end", || thread.state() == State::Ended)?;
        thread.unpark();
        thread::yield_now();
        check!(thread.state() == State::Ended, "{thread:?}");
        join(handle)
    }

    /// Two threads that wake each other lose no wake-up, and pile up no timers.
    fn no_wake_up_is_lost() {
        let before = mm::usage().used;
        leaves_nothing(|| {
            let shared = Arc::new((AtomicU64::new(0), AtomicU64::new(u64::MAX)));
            let (other, main) = (shared.clone(), thread::current());
            let handle = spawn("ball", move || {
                if let Some(round) = play(&other.0, 1, &main) {
                    other.1.store(round, Ordering::Relaxed);
                }
            })?;
            let lost = play(&shared.0, 0, handle.thread());
            join(handle)?;
            check!(lost.is_none(), "round {lost:?} of {ROUNDS}: the main thread was not woken");
            let lost = shared.1.load(Ordering::Relaxed);
            check!(lost == u64::MAX, "round {lost} of {ROUNDS}: the other thread was not woken");
            // What the last unpark has left.
            thread::park_until(arch::timebase());
            Ok(())
        })?;
        // A timer for each round would be half a megabyte.
        let grown = mm::usage().used.saturating_sub(before);
        check!(grown < 64 * 1024, "the tables have grown by {grown} bytes");
        Ok(())
    }

    /// The same with ticks at every moment of it: neither side gives way by itself.
    fn wake_ups_at_any_moment() {
        static BALL: AtomicU64 = AtomicU64::new(0);
        BALL.store(0, Ordering::Relaxed);
        let handle = spawn("noise", || {
            while BALL.load(Ordering::Relaxed) < 100 {
                thread::park();
                BALL.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        let limit = limit();
        while BALL.load(Ordering::Relaxed) < 100 && arch::timebase() < limit {
            let seen = BALL.load(Ordering::Relaxed);
            handle.thread().unpark();
            // Until a tick lets it run, which finds it parking, or parked.
            while BALL.load(Ordering::Relaxed) == seen && arch::timebase() < limit {
                spin_loop();
            }
        }
        let count = BALL.load(Ordering::Relaxed);
        check!(count >= 100, "the wake-up behind the {count}th got lost");
        handle.thread().unpark();
        join(handle)
    }

    /// A thread that waits in a queue is woken when it is done, and not much later than
    /// its deadline if it is not.
    fn queues_wake_all() {
        leaves_nothing(|| {
            let shared = Arc::new((WaitQueue::new(), AtomicBool::new(false), AtomicU64::new(0)));
            let deadline = in_millis(3);
            let late = shared.0.wait_deadline(deadline, || false);
            check!(!late && arch::timebase() >= deadline, "it gave up too early, or saw what is not");
            let mut handles = Vec::new();
            for _ in 0..20 {
                let shared = shared.clone();
                handles.push(spawn("waiter", move || {
                    let (queue, done, count) = &*shared;
                    if queue.wait_deadline(limit(), || done.load(Ordering::Relaxed)) {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                })?);
            }
            let asleep = |handle: &thread::Handle| handle.thread().state() == State::Asleep;
            until("all asleep", || handles.iter().all(asleep))?;
            // Looking again is not being done.
            shared.0.wake_all();
            until("all asleep again", || handles.iter().all(asleep))?;
            let early = shared.2.load(Ordering::Relaxed);
            shared.1.store(true, Ordering::Relaxed);
            shared.0.wake_all();
            handles.into_iter().try_for_each(join)?;
            let count = shared.2.load(Ordering::Relaxed);
            check!(early == 0 && count == 20, "{early} came before their time, {count} in all");
            Ok(())
        })
    }

    /// Waiting in a queue needs no memory.
    fn queues_do_without_memory() {
        let shared = Arc::new((WaitQueue::new(), AtomicBool::new(false)));
        let other = shared.clone();
        let handle = spawn("waker", move || {
            thread::sleep(Duration::from_millis(5));
            other.1.store(true, Ordering::Relaxed);
            other.0.wake_all();
        })?;
        let limit = limit();
        let blocks = heap::take_all(8);
        let is_used_up = Vec::<u64>::new().try_reserve_exact(1).is_err();
        let is_done = shared.0.wait_deadline(limit, || shared.1.load(Ordering::Relaxed));
        drop(blocks);
        join(handle)?;
        check!(is_used_up, "there was memory left");
        check!(is_done, "it was not woken within {:?}", super::LIMIT);
        Ok(())
    }

    /// A thread that waits for something that takes waiting itself is woken all the same,
    /// from both waits, and those that leave a queue at other times leave the others in
    /// it.
    fn queues_nest() {
        let queues = Arc::new(([const { WaitQueue::new() }; 2], AtomicU64::new(0)));
        let mut handles = Vec::new();
        for late in 0..10 {
            let queues = queues.clone();
            handles.push(spawn("waiter", move || {
                let ([outer, inner], stage) = &*queues;
                let is_at = |least| stage.load(Ordering::Relaxed) >= least;
                outer.wait_deadline(in_millis(1 + late % 3), || false);
                outer.wait_until(|| {
                    inner.wait_until(|| is_at(1));
                    is_at(2)
                });
                stage.fetch_add(10, Ordering::Relaxed);
            })?);
        }
        for queue in &queues.0 {
            thread::sleep(Duration::from_millis(5));
            queues.1.fetch_add(1, Ordering::Relaxed);
            queue.wake_all();
        }
        queues.0[0].wake_all();
        handles.into_iter().try_for_each(join)?;
        let stage = queues.1.load(Ordering::Relaxed);
        check!(stage == 102, "{stage} instead of 102");
        Ok(())
    }

    /// An unpark that comes while the thread waits for something else is there for
    /// its next park.
    fn queues_leave_the_token() {
        let shared = Arc::new((WaitQueue::new(), AtomicBool::new(false), AtomicBool::new(false)));
        let other = shared.clone();
        let handle = spawn("waiter", move || {
            let (queue, done, unparked) = &*other;
            queue.wait_until(|| done.load(Ordering::Relaxed));
            unparked.store(thread::park_until(in_millis(500)), Ordering::Relaxed);
        })?;
        let asleep = || handle.thread().state() == State::Asleep;
        until("its wait", asleep)?;
        handle.thread().unpark();
        until("its wait, again", asleep)?;
        shared.1.store(true, Ordering::Relaxed);
        shared.0.wake_all();
        join(handle)?;
        check!(shared.2.load(Ordering::Relaxed), "the queue has taken the token");
        Ok(())
    }
}
