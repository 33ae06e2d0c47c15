//! Which thread has the CPU, and for how long.

use super::{join, leaves_nothing, spawn, until};
use crate::check;
use alloc::{sync::Arc, vec::Vec};
use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use machine::{arch, time};

/// Threads that share the CPU.
const SPINNERS: usize = 5;
/// Time slices that each gets.
const SLICES: u64 = 12;

/// What [`SPINNERS`] threads note.
struct Turns {
    go: AtomicBool,
    stop: AtomicBool,
    /// The thread that had the last turn.
    last: AtomicU64,
    slices: [AtomicU64; SPINNERS],
    /// Turns out of order.
    disorder: AtomicU64,
}

/// Spins, noting when it has the CPU again.
fn spin(turns: &Turns, me: u64) {
    while !turns.go.load(Ordering::Relaxed) {
        thread::yield_now();
    }
    let before_me = (me + SPINNERS as u64 - 1) % SPINNERS as u64;
    while !turns.stop.load(Ordering::Relaxed) {
        let last = turns.last.swap(me, Ordering::Relaxed);
        if last != me {
            turns.slices[me as usize].fetch_add(1, Ordering::Relaxed);
            if last != before_me && last != u64::MAX {
                turns.disorder.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

crate::selftest! {
    /// Two threads that never give way both make progress, and leave nothing.
    fn spinners_are_preempted() {
        leaves_nothing(|| {
            let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
            let mut handles = Vec::new();
            for which in 0..2 {
                let counts = counts.clone();
                handles.push(spawn("spinner", move || {
                    while counts[1 - which].load(Ordering::Relaxed) < 1000 {
                        counts[which].fetch_add(1, Ordering::Relaxed);
                    }
                    counts[which].fetch_add(1000, Ordering::Relaxed);
                })?);
            }
            handles.into_iter().try_for_each(join)
        })
    }
}

crate::selftest! {
    one_cpu;

    /// A thread that gives way runs again after the other one that wants to.
    fn giving_way_alternates() {
        const ROUNDS: u64 = 100;
        // How many are there, which of them made the last step, and how often the same
        // one.
        let shared = Arc::new((AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)));
        let mut handles = Vec::new();
        for me in 1..=2 {
            let shared = shared.clone();
            handles.push(spawn("step", move || {
                let (here, last, repeats) = &*shared;
                // No tick may take a turn away.
                let _off = arch::interrupts_off();
                here.fetch_add(1, Ordering::Relaxed);
                while here.load(Ordering::Relaxed) < 2 {
                    thread::yield_now();
                }
                for _ in 0..ROUNDS {
                    if last.swap(me, Ordering::Relaxed) == me {
                        repeats.fetch_add(1, Ordering::Relaxed);
                    }
                    thread::yield_now();
                }
            })?);
        }
        handles.into_iter().try_for_each(join)?;
        let repeats = shared.2.load(Ordering::Relaxed);
        check!(repeats == 0, "{repeats} of {ROUNDS} times one ran twice in a row");
        Ok(())
    }

    /// With interrupts off no other thread runs; with interrupts on again, they do.
    fn interrupts_off_keeps_the_cpu() {
        let shared = Arc::new((AtomicU64::new(0), AtomicBool::new(false)));
        let other = shared.clone();
        let handle = spawn("counter", move || {
            while !other.1.load(Ordering::Relaxed) {
                other.0.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        let count = || shared.0.load(Ordering::Relaxed);
        until("the other's first step", || count() > 0)?;
        let off = arch::interrupts_off();
        let (start, first) = (arch::timebase(), count());
        while arch::timebase() - start < time::timebase_ticks(Duration::from_millis(5)) {}
        let last = count();
        drop(off);
        let limit = super::limit();
        // No giving way: it takes a tick.
        while count() == last && arch::timebase() < limit {
            black_box(());
        }
        let on = count();
        shared.1.store(true, Ordering::Relaxed);
        join(handle)?;
        check!(first == last, "{} steps with interrupts off", last - first);
        check!(on > last, "no step with interrupts on");
        Ok(())
    }

    /// Threads that never give way get the CPU in turns, each as often as the others.
    fn turns_are_fair() {
        let turns = Arc::new(Turns {
            go: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            last: AtomicU64::new(u64::MAX),
            slices: [const { AtomicU64::new(0) }; SPINNERS],
            disorder: AtomicU64::new(0),
        });
        let mut handles = Vec::new();
        for me in 0..SPINNERS as u64 {
            let turns = turns.clone();
            handles.push(spawn("turn", move || spin(&turns, me))?);
        }
        let (ticks, late) = (time::ticks(), time::late());
        turns.go.store(true, Ordering::Relaxed);
        let total = || turns.slices.iter().map(|one| one.load(Ordering::Relaxed)).sum::<u64>();
        until("turns", || total() >= SLICES * SPINNERS as u64)?;
        let off = arch::interrupts_off();
        let ticks = time::ticks() - ticks;
        let counts = turns.slices.each_ref().map(|one| one.load(Ordering::Relaxed));
        turns.stop.store(true, Ordering::Relaxed);
        drop(off);
        handles.into_iter().try_for_each(join)?;
        let (least, most) = (counts.iter().min(), counts.iter().max());
        // When the host lets a tick come late, the next one may come at once, and take
        // the CPU off a thread before it has noted its turn, or that of its neighbour. So
        // may the very first tick.
        let late = time::late() - late;
        let disorder = turns.disorder.load(Ordering::Relaxed);
        check!(most.zip(least).is_some_and(|(most, least)| most - least <= 1 + 2 * late), "slices: {counts:?}, {late} late");
        let total: u64 = counts.iter().sum();
        check!(disorder <= 4 + 2 * late, "{disorder} turns out of order, {late} late; slices: {counts:?}");
        check!(ticks + 2 >= total, "{total} slices in {ticks} ticks");
        Ok(())
    }
}
