//! How long a transition keeps a thread from running that has nothing to do with it.

use super::{
    Problem, Rows, instructions,
    patched::{enable, problem},
    transition::Sleepers,
};
use alloc::{format, sync::Arc};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use machine::{arch, time};

/// How many threads sleep meanwhile.
const SLEEPERS: usize = 1000;
/// How often a patch of 1,000 functions is enabled and disabled.
const TRANSITIONS: u64 = 3;
/// Other threads that may want the CPU: the one that changes patches, and the worker that
/// looks after transitions.
const OTHERS: u64 = 2;

#[derive(Debug, Default)]
struct Metronome {
    stop: AtomicBool,
    /// The most timebase ticks between two looks at the timebase.
    gap: AtomicU64,
}

/// Looks at the timebase all the time, as a thread's main loop that has safe points.
fn beat(metronome: &Metronome) {
    let mut last = arch::timebase();
    while !metronome.stop.load(Ordering::Relaxed) {
        thread::safe_point();
        let now = arch::timebase();
        metronome.gap.fetch_max(now - last, Ordering::Relaxed);
        last = now;
    }
}

pub(super) fn measure(rows: &mut Rows) -> Result<(), Problem> {
    let mut sleepers = Sleepers::new();
    sleepers.grow(SLEEPERS)?;
    let metronome = Arc::new(Metronome::default());
    let own = metronome.clone();
    let handle = thread::spawn("metronome", move || beat(&own));
    let handle = handle.map_err(|error| format!("{error}"))?;
    let mut longest = [0; 2];
    for _ in 0..TRANSITIONS {
        metronome.gap.store(0, Ordering::Relaxed);
        drop(enable("soak1000")?);
        livepatch::wait();
        longest[0] = longest[0].max(metronome.gap.swap(0, Ordering::Relaxed));
        livepatch::disable("soak1000").map_err(problem)?;
        livepatch::wait();
        longest[1] = longest[1].max(metronome.gap.swap(0, Ordering::Relaxed));
        livepatch::unload("soak1000").map_err(problem)?;
    }
    metronome.stop.store(true, Ordering::Relaxed);
    handle.join().map_err(|error| format!("{error}"))?;
    sleepers.end()?;
    let slice = 1_000_000_000 / time::TICKS_PER_SECOND;
    // A slice for each of the others: what is done with interrupts off adds little.
    let limit = Some(OTHERS * slice);
    rows.add(
        "gap_enable",
        "longest wait of a thread, enabling 1,000",
        instructions(longest[0]),
        limit,
    );
    rows.add(
        "gap_disable",
        "longest wait of a thread, disabling them",
        instructions(longest[1]),
        limit,
    );
    Ok(())
}
