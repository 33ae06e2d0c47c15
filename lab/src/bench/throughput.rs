//! Whether calls on two CPUs get in each other's way: how many calls two CPUs make in the time
//! in which one makes so many. It takes a machine whose CPUs run at the same time, so not one
//! where time counts instructions.
//!
//! Stretches of two kinds alternate: in one this thread calls alone, and the other CPU sleeps; in
//! the other a second thread calls too, on the other CPU. A stretch is cut into short *slices*,
//! and each thread counts its calls by slice, in memory of its own. The host may take a CPU away
//! at any time, so of all slices of a kind the best counts: one that was not disturbed.

use super::Problem;
use crate::{
    fixtures::{Finding, Way, both_ways, check_way, pass},
    instruments::calls::{AtOnce, call_repeatedly},
};
use alloc::{format, string::String, sync::Arc};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use livepatch::variants::{self, ChooseError, VARIANTS, Variant};
use machine::{
    arch,
    console::{self, Painted, Tone},
    cpus,
    log::{self, LevelFilter},
    sync::IrqLock,
    time,
};
use report::{Record, Verdict};
use thread::WaitQueue;

/// The patch: it replaces the function that is called, and one in which a thread sleeps as
/// long as the transition is to last.
const PATCH: &str = "cases";
/// The function that is called.
const FUNCTION: AtOnce = AtOnce::Leaf;

/// How long a slice takes.
const SLICE: Duration = Duration::from_micros(250);
/// Slices of a stretch.
const SLICES: usize = 40;
/// So many stretches of each kind without a better slice are enough; and so many in all.
const ENOUGH: u64 = 20;
const MOST: u64 = 200;
/// Calls between two looks at the time.
const BATCH: u64 = 25;

/// What the ratio is given in: `xtask` knows it.
const UNIT: &str = "hundredths";

/// The ratio as a measure.
const fn measure_of(way: Way) -> &'static str {
    match way {
        Way::Settled => "cpus_2_ratio",
        Way::Transition => "cpus_2_ratio_transition",
    }
}

/// Calls by slice.
type Counts = [u64; SLICES];

/// Makes calls from `start` on, for a stretch.
fn calls_from(start: u64) -> Counts {
    let slice = time::timebase_ticks(SLICE);
    let mut counts = [0; SLICES];
    // So that no other thread gets this CPU, and the function may leave any r2.
    let _off = arch::interrupts_off();
    while arch::timebase() < start {
        core::hint::spin_loop();
    }
    for (number, count) in (1..).zip(&mut counts) {
        let mut calls = 0;
        while arch::timebase() < start + number * slice {
            let _ = call_repeatedly(FUNCTION, BATCH);
            calls += BATCH;
        }
        *count = calls;
    }
    counts
}

/// The two threads that call. Nothing of it is written during a stretch.
#[derive(Debug)]
struct Stretch {
    /// Its number; [`Stretch::END`] if none comes any more.
    number: AtomicU64,
    /// The last one for which the second thread is ready.
    ready: AtomicU64,
    /// When it starts; 0 if that is not known yet.
    start: AtomicU64,
    /// The second thread's calls, once it is over.
    counts: IrqLock<Option<Counts>>,
    /// Where the second thread waits for a number.
    queue: WaitQueue,
}

impl Stretch {
    const END: u64 = u64::MAX;
    /// How long before a stretch it is known when it starts.
    const LEAD: Duration = Duration::from_micros(20);

    const fn new() -> Self {
        Self {
            number: AtomicU64::new(0),
            ready: AtomicU64::new(0),
            start: AtomicU64::new(0),
            counts: IrqLock::new(None),
            queue: WaitQueue::new(),
        }
    }

    /// Gives out a number.
    fn announce(&self, number: u64) {
        self.start.store(0, Ordering::Relaxed);
        self.number.store(number, Ordering::Release);
        self.queue.wake_all();
    }

    /// What the second thread does.
    fn follow(&self) {
        let mut last = 0;
        loop {
            self.queue
                .wait_until(|| self.number.load(Ordering::Acquire) != last);
            last = self.number.load(Ordering::Acquire);
            if last == Self::END {
                return;
            }
            self.ready.store(last, Ordering::Release);
            let start = loop {
                match self.start.load(Ordering::Acquire) {
                    0 => arch::spin(),
                    start => break start,
                }
            };
            let counts = calls_from(start);
            *self.counts.lock() = Some(counts);
        }
    }

    /// What the first thread does: one stretch with the second. Returns the calls of both.
    fn lead(&self, number: u64) -> Counts {
        self.announce(number);
        // It has a CPU of its own then.
        while self.ready.load(Ordering::Acquire) != number {
            arch::spin();
        }
        let start = arch::timebase() + time::timebase_ticks(Self::LEAD);
        self.start.store(start, Ordering::Release);
        let mut counts = calls_from(start);
        let others = loop {
            match self.counts.lock().take() {
                None => arch::spin(),
                Some(others) => break others,
            }
        };
        for (count, other) in counts.iter_mut().zip(others) {
            *count += other;
        }
        counts
    }
}

/// The most calls that were made in a slice by one CPU, and by two.
fn best() -> Result<[u64; 2], String> {
    let stretch = Arc::new(Stretch::new());
    let own = stretch.clone();
    let handle = thread::spawn("second", move || own.follow());
    let handle = handle.map_err(|error| format!("{error}"))?;
    let mut best = [0; 2];
    let mut last_better = 0;
    for number in 1..=MOST {
        let alone = calls_from(arch::timebase());
        let both = stretch.lead(number);
        for (best, counts) in best.iter_mut().zip([alone, both]) {
            let found = counts.into_iter().fold(*best, u64::max);
            // By more than a batch or two.
            if found > *best + *best / 100 {
                last_better = number;
            }
            *best = found;
        }
        if number - last_better >= ENOUGH {
            break;
        }
    }
    stretch.announce(Stretch::END);
    handle.join().map_err(|error| format!("{error}"))?;
    Ok(best)
}

/// Measures a variant, which is in use, and prints and reports what was found.
fn measure(variant: &Variant) -> Result<(), Finding> {
    println!("{}", Painted(Tone::Heading, variant.name));
    let ways = both_ways(PATCH, |way| {
        check_way(FUNCTION.address(), way)?;
        let [one, two] = best()?;
        let is_open = livepatch::running().is_some();
        if is_open != (way == Way::Transition) {
            return Err(format!("the transition runs: {is_open}").into());
        }
        let ratio = 100 * two / one.max(1);
        println!(
            "  {:<24} {}.{:02}  {two} calls by two CPUs, {one} by one",
            measure_of(way),
            ratio / 100,
            ratio % 100
        );
        console::report(&Record::Cost {
            variant: variant.name,
            measure: measure_of(way),
            unit: UNIT,
            value: ratio,
            limit: None,
        });
        Ok(())
    });
    ways.and_then(|_| pass()).map(drop)
}

/// Measures all variants that this machine can do, or the one with a name.
pub fn run(name: Option<&str>) -> Verdict {
    if cpus::count() < 2 {
        println!("throughput: it takes two CPUs, and there is one");
        return Verdict::ChecksFailed;
    }
    let chosen = VARIANTS.iter().copied();
    let chosen = chosen.filter(|one| name.is_none_or(|name| name == one.name));
    if chosen.clone().next().is_none() {
        let error = ChooseError::Unknown;
        println!("boot argument `variant={}`: {error}", name.unwrap_or(""));
        return Verdict::BadArgument;
    }
    let level = log::max_level();
    // Transitions are not to be told of.
    log::set_max_level(level.min(LevelFilter::Warn));
    let before = variants::current();
    let mut done = 0;
    let all = chosen.clone().count() as u32;
    let result = chosen
        .into_iter()
        .try_for_each(|variant| -> Result<(), Problem> {
            match super::adopt(variant) {
                Ok(()) => {}
                Err(ChooseError::Impossible { reason, .. }) => {
                    println!("{}: not here: {reason}", variant.name);
                    return Ok(());
                }
                Err(error) => return Err(format!("{error}")),
            }
            measure(variant).map_err(|found| format!("{}: {found}", variant.name))?;
            done += 1;
            console::report(&Record::Progress {
                what: variant.name,
                done,
                of: all,
            });
            Ok(())
        });
    log::set_max_level(level);
    let put_back = variants::adopt(before).map_err(|error| format!("{error}"));
    match result.and(put_back) {
        Ok(()) => Verdict::Passed,
        Err(problem) => {
            println!("throughput: {problem}");
            Verdict::ChecksFailed
        }
    }
}
