//! The clock: timebase and ticks.

use crate::{arch, platform};
use core::{sync::atomic::Ordering, time::Duration};

/// Ticks per second. Short enough that a stack that overruns its guard is
/// noticed before it has eaten far into the memory below.
pub const TICKS_PER_SECOND: u64 = 1000;

/// Timebase ticks of a duration.
#[must_use]
pub fn timebase_ticks(duration: Duration) -> u64 {
    let hz = u128::from(platform::get().timebase_hz);
    (duration.as_nanos() * hz / 1_000_000_000) as u64
}

/// The duration of a number of timebase ticks.
#[must_use]
pub fn duration(ticks: u64) -> Duration {
    let hz = u128::from(platform::get().timebase_hz);
    Duration::from_nanos((u128::from(ticks) * 1_000_000_000 / hz) as u64)
}

/// Decrementer ticks since [`start`].
#[must_use]
pub fn ticks() -> u64 {
    arch::cpu().ticks.load(Ordering::Relaxed)
}

/// Timebase ticks between two decrementer ticks.
fn interval() -> u64 {
    platform::get().timebase_hz / TICKS_PER_SECOND
}

/// Starts the ticks. They arrive as soon as interrupts are on.
pub fn start() {
    let next = arch::timebase() + interval();
    arch::cpu().next_tick.store(next, Ordering::Relaxed);
    arm(next);
}

/// Lets the decrementer go off at timebase `next`.
fn arm(next: u64) {
    let wait = next
        .saturating_sub(arch::timebase())
        .clamp(1, i32::MAX as u64);
    arch::set_decrementer(wait as i32);
}

/// The decrementer has gone off. The next tick is due one interval after the
/// last one was; those that have been missed altogether are not made up for.
#[inline(never)] // so that it has a site: it is what an interrupt handler calls
pub fn tick() {
    let cpu = arch::cpu();
    cpu.ticks.fetch_add(1, Ordering::Relaxed);
    let due = cpu.next_tick.load(Ordering::Relaxed) + interval();
    let now = arch::timebase();
    let next = if due > now { due } else { now + interval() };
    cpu.next_tick.store(next, Ordering::Relaxed);
    arm(next);
}
