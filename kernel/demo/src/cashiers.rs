//! Two more callers, for two CPUs: each calls all the time, from a loop that has a safe point.
//!
//! When told to, they call *together*: each turns its CPU's interrupts off, waits until the other
//! has done so too, and calls until the other has made some calls meanwhile. No other thread can
//! get that CPU then. So the other one has run on another CPU, at the same time.
//!
//! And when told to, one of them *stays* in the function: it waits there, with interrupts on and without
//! giving up its CPU, and has stopped its CPU's ticks, so that no other thread gets it.

use super::{
    events,
    workload::{Tally, until},
};
use crate::{bank, bank::RATES};
use alloc::vec::Vec;
use core::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use machine::{arch, time};
use thread::{Handle, OutOfMemory, Thread};

/// How many there are.
pub const COUNT: usize = 2;

/// What they are called.
pub const NAMES: [&str; COUNT] = ["cashier/1", "cashier/2"];

/// Their accounts.
pub const ACCOUNTS: [usize; COUNT] = [6, 7];

/// How many years ahead they ask.
pub const YEARS: u64 = 3;

/// Calls of the other one that each waits for.
const CALLS: u64 = 1000;

/// How long they wait for each other.
const PATIENCE: Duration = Duration::from_secs(3);

/// A cashier. Calls of two on two CPUs write to different cache blocks here.
#[repr(align(128))]
struct Cashier {
    tally: Tally,
    /// Calls so far.
    calls: AtomicU64,
    /// How often it was there to call together.
    arrived: AtomicU64,
    /// What it has seen when it last did: its CPU and one, its calls, and the other's.
    seen: [AtomicU64; 3],
}

static CASHIERS: [Cashier; COUNT] = [const {
    Cashier {
        tally: Tally::new(),
        calls: AtomicU64::new(0),
        arrived: AtomicU64::new(0),
        seen: [const { AtomicU64::new(0) }; 3],
    }
}; COUNT];

/// How often they were told to call together.
static TOLD: AtomicU64 = AtomicU64::new(0);
/// The one that is told to stay, and one; 0 if none is.
static STAYS: AtomicUsize = AtomicUsize::new(0);
static CLOSED: AtomicBool = AtomicBool::new(false);

/// What they were answered so far.
pub fn tallies() -> impl Iterator<Item = &'static Tally> {
    CASHIERS.iter().map(|one| &one.tally)
}

/// What one of them was answered so far.
pub fn tally(who: usize) -> &'static Tally {
    &CASHIERS[who].tally
}

fn call(who: usize) {
    let cashier = &CASHIERS[who];
    let answer = bank::balance(ACCOUNTS[who] as u64, YEARS);
    let side = thread::with_current(Thread::patch_state).unwrap_or(0);
    cashier.tally.note(answer, YEARS, events::rate_of(side));
    cashier.calls.fetch_add(1, Ordering::Relaxed);
}

/// Calls together with the other one.
fn together(who: usize, turn: u64) {
    let (own, other) = (&CASHIERS[who], &CASHIERS[1 - who]);
    let off = arch::interrupts_off();
    own.arrived.store(turn, Ordering::Relaxed);
    let end = arch::timebase() + time::timebase_ticks(PATIENCE);
    let goes_on = || arch::timebase() < end;
    while other.arrived.load(Ordering::Relaxed) < turn && goes_on() {
        core::hint::spin_loop();
    }
    let before = [own, other].map(|one| one.calls.load(Ordering::Relaxed));
    let since = |place: usize, one: &Cashier| one.calls.load(Ordering::Relaxed) - before[place];
    while since(1, other) < CALLS && goes_on() {
        call(who);
    }
    let seen = [
        off.cpu().number() as u64 + 1,
        since(0, own),
        since(1, other),
    ];
    for (place, value) in own.seen.iter().zip(seen) {
        // Release: the last one is seen when the others are there.
        place.store(value, Ordering::Release);
    }
}

/// How often one gives way to get to another CPU than the first.
const TRIES: u32 = 1000;

/// Calls once, and stays in the function until its account is opened. The first CPU's ticks
/// can't be stopped, for they wake all threads that sleep: so it goes to another, if one comes along.
fn stay(who: usize) {
    let mut off = arch::interrupts_off();
    for _ in 0..TRIES {
        if off.cpu().number() != 0 {
            time::stop();
            break;
        }
        drop(off);
        thread::yield_now();
        off = arch::interrupts_off();
    }
    drop(off);
    bank::hold(ACCOUNTS[who]);
    call(who);
    time::start();
}

#[inline(never)] // its name is in backtraces
fn cashier(who: usize) {
    let mut turn = 0;
    while !CLOSED.load(Ordering::Relaxed) {
        thread::safe_point();
        let told = TOLD.load(Ordering::Relaxed);
        if told > turn {
            turn = told;
            together(who, turn);
        }
        if STAYS.load(Ordering::Relaxed) == who + 1 {
            STAYS.store(0, Ordering::Relaxed);
            stay(who);
        }
        call(who);
    }
}

/// Starts them.
///
/// # Errors
/// When there is no memory for them.
pub fn open() -> Result<Vec<Handle>, OutOfMemory> {
    let start = |who: usize| thread::spawn(NAMES[who], move || cashier(who));
    (0..COUNT).map(start).collect()
}

/// Ends them.
///
/// # Errors
/// When one was stopped by a fault.
pub fn close(handles: Vec<Handle>) -> Result<(), thread::Stopped> {
    CLOSED.store(true, Ordering::Relaxed);
    handles.into_iter().try_for_each(Handle::join)
}

/// Has one of them stay in the function, until its account is opened. Says whether it does.
pub fn have_stay(who: usize) -> bool {
    STAYS.store(who + 1, Ordering::Relaxed);
    until(|| bank::looks(ACCOUNTS[who]) > 0)
}

/// What each of two has seen that have called together.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its CPU.
    pub cpu: u64,
    /// How many calls it has made.
    pub own: u64,
    /// How many the other one has made meanwhile.
    pub others: u64,
}

/// Has them call together. Returns what each has seen, unless one does not come to its end.
pub fn call_together() -> Option<[Seen; COUNT]> {
    for one in &CASHIERS {
        one.seen[2].store(0, Ordering::Relaxed);
    }
    TOLD.fetch_add(1, Ordering::Relaxed);
    let is_done = |one: &Cashier| one.seen[2].load(Ordering::Acquire) > 0;
    until(|| CASHIERS.iter().all(is_done)).then(|| {
        CASHIERS.each_ref().map(|one| {
            let [cpu, own, others] = one.seen.each_ref().map(|one| one.load(Ordering::Relaxed));
            let cpu = cpu.saturating_sub(1);
            Seen { cpu, own, others }
        })
    })
}

/// Waits until one of them has got an answer by a rate since now. Says whether it has.
pub fn until_answered(who: usize, rate: usize) -> bool {
    debug_assert!(rate < RATES);
    let count = || tally(who).counts()[rate];
    let before = count();
    until(|| count() > before)
}
