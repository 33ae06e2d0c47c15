//! The clock: timebase and ticks.

use crate::{arch, platform, sync::Hook};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Ticks per second. Often enough that in real mode a stack that overruns its guard is
/// noticed before it has eaten far into the memory below.
pub const TICKS_PER_SECOND: u64 = 1000;

/// From one tick to the next.
pub const TICK: Duration = Duration::from_nanos(1_000_000_000 / TICKS_PER_SECOND);

/// Timebase ticks of a duration; the most there can be of one that is too long.
#[must_use]
pub fn timebase_ticks(duration: Duration) -> u64 {
    let hz = u128::from(platform::get().timebase_hz);
    u64::try_from(duration.as_nanos() * hz / 1_000_000_000).unwrap_or(u64::MAX)
}

/// The duration of a number of timebase ticks.
#[must_use]
pub fn duration(ticks: u64) -> Duration {
    let hz = u128::from(platform::get().timebase_hz);
    Duration::from_nanos((u128::from(ticks) * 1_000_000_000 / hz) as u64)
}

/// Decrementer ticks since [`start`], of the CPU that boots: it never stops ticking, and a
/// thread that moves from CPU to CPU reads one clock.
#[must_use]
pub fn ticks() -> u64 {
    arch::CPUS[0].ticks.load(Ordering::Relaxed)
}

/// Timebase ticks between two decrementer ticks.
fn interval() -> u64 {
    platform::get().timebase_hz / TICKS_PER_SECOND
}

/// Starts this CPU's ticks. They arrive as soon as interrupts are on.
pub fn start() {
    let next = arch::timebase() + interval();
    let off = arch::interrupts_off();
    off.cpu().next_tick.store(next, Ordering::Relaxed);
    arm(next);
}

/// Ends this CPU's ticks, until [`start`]: the decrementer goes off once in a long while.
pub fn stop() {
    arm(u64::MAX);
}

/// Lets the decrementer go off at timebase `next`.
fn arm(next: u64) {
    let wait = next
        .saturating_sub(arch::timebase())
        .clamp(1, i32::MAX as u64);
    arch::set_decrementer(wait as i32);
}

/// A tick is late when it comes after this part of an interval.
const LATE_PART: u64 = 8;

static LATE: AtomicU64 = AtomicU64::new(0);

/// How many ticks came late since boot: because interrupts were off, or because the
/// host had something else to do.
#[must_use]
pub fn late() -> u64 {
    LATE.load(Ordering::Relaxed)
}

/// The least time, as a part of an interval, that the interrupted code gets between
/// two ticks.
const LEAST_PART: u64 = 8;

/// The decrementer has gone off. The next tick is due one interval after the last one
/// was; those that have been missed altogether are not made up for. A hook that takes
/// too long delays the next tick: ticks alone must never be all that runs, and a
/// debugger may halt the kernel in a hook for as long as it likes.
#[inline(never)] // so that it has a site: it is what an interrupt handler calls
pub fn tick() {
    let off = arch::interrupts_off();
    let cpu = off.cpu();
    cpu.ticks.fetch_add(1, Ordering::Relaxed);
    let last = cpu.next_tick.load(Ordering::Relaxed);
    // A self-test may enter the vector before the tick is due.
    if arch::timebase().saturating_sub(last) > interval() / LATE_PART {
        LATE.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(hook) = ON_TICK.get() {
        hook();
    }
    let (due, now) = (last + interval(), arch::timebase());
    let is_near = due < now + interval() / LEAST_PART;
    let next = if is_near { now + interval() } else { due };
    cpu.next_tick.store(next, Ordering::Relaxed);
    arm(next);
}

/// What every tick calls.
static ON_TICK: Hook<fn()> = Hook::new();

/// Lets every tick call `hook` from now on, in place of what it called before. The
/// hook runs in the interrupt handler, on the stack of the interrupted thread, with
/// interrupts off: it must be quick, and must not sleep.
pub fn call_on_tick(hook: fn()) {
    ON_TICK.set(Some(hook));
}

/// Lets ticks call nothing.
pub fn stop_calling() {
    ON_TICK.set(None);
}
