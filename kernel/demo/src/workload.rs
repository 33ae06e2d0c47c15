//! The threads of the demonstration, and the clock: each asks for balances in a way
//! of its own, and judges every answer.

use super::{cashiers, events};
use crate::{bank, bank::RATES};
use alloc::vec::Vec;
use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use machine::{arch, time};
use thread::{Handle, OutOfMemory, State, Thread, WaitQueue};

/// Calls in a loop, without ever giving way.
pub const TELLER: usize = 0;
/// Sleeps in the function while its account is locked.
pub const SLEEPER: usize = 1;
/// The same, deep in recursion.
pub const PLANNER: usize = 2;
/// Calls through a function pointer.
pub const BROKER: usize = 3;
/// Never calls.
pub const GARDENER: usize = 4;
/// No thread: a timer interrupt calls, on the stack and on the side of the thread that it
/// interrupts.
pub const CLOCK: usize = 5;
/// How many there are.
pub const CALLERS: usize = 6;

/// What they are called.
pub const NAMES: [&str; CALLERS] = [
    "teller", "sleeper", "planner", "broker", "gardener", "clock",
];

/// What they do, for the reader.
pub const ABOUT: [&str; CALLERS] = [
    "spinning caller: in a tight loop, and never gives way",
    "blocked caller: when told to, and sleeps inside it if its account is locked",
    "recursive caller: the same, 20 years deep; the function calls itself for each",
    "indirect caller: through a function pointer, when told to",
    "non-caller: sleeps",
    "caller from an interrupt: each tick, in the thread that is interrupted",
];

/// How many years ahead each of them asks. More than one tells rates that were mixed
/// in one answer.
pub const YEARS: [u64; CALLERS] = [3, 3, 20, 1, 0, 3];

/// How long the demonstration waits for anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one of them was answered.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answers by rate.
    pub by_rate: [AtomicU64; RATES],
    /// Answers that no rate alone makes.
    pub mixed: AtomicU64,
    /// Answers by another rate than that of the caller's side.
    pub wrong_side: AtomicU64,
    /// The last answer.
    pub last: AtomicU64,
}

impl Tally {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            by_rate: [const { AtomicU64::new(0) }; RATES],
            mixed: AtomicU64::new(0),
            wrong_side: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// Judges an answer to a caller whose side has this rate.
    pub fn note(&self, answer: u64, years: u64, rate: usize) {
        self.last.store(answer, Ordering::Relaxed);
        let Some(found) = bank::rate_of(answer, years) else {
            self.mixed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        self.by_rate[found].fetch_add(1, Ordering::Relaxed);
        if found != rate {
            self.wrong_side.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Answers by rate.
    pub fn counts(&self) -> [u64; RATES] {
        self.by_rate
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// Answers that should not have been: mixed ones, and those of the wrong side.
    pub fn bad(&self) -> u64 {
        self.mixed.load(Ordering::Relaxed) + self.wrong_side.load(Ordering::Relaxed)
    }
}

static TALLIES: [Tally; CALLERS] = [const { Tally::new() }; CALLERS];
/// How often each was told to do its work, and how often it has.
static TOLD: [AtomicU64; CALLERS] = [const { AtomicU64::new(0) }; CALLERS];
static DONE: [AtomicU64; CALLERS] = [const { AtomicU64::new(0) }; CALLERS];
static BELL: WaitQueue = WaitQueue::new();
static CLOSED: AtomicBool = AtomicBool::new(false);

/// What one of them was answered so far.
pub fn tally(who: usize) -> &'static Tally {
    &TALLIES[who]
}

/// Judges an answer to the running thread. Its side can't have changed during the
/// call: the function was on its stack.
fn note(who: usize, answer: u64) {
    let side = thread::with_current(Thread::patch_state).unwrap_or(0);
    TALLIES[who].note(answer, YEARS[who], events::rate_of(side));
}

/// Waits to be told to work; says whether there is any.
fn wait_for_bell(who: usize) -> bool {
    let is_told = || TOLD[who].load(Ordering::Relaxed) > DONE[who].load(Ordering::Relaxed);
    BELL.wait_until(|| is_told() || CLOSED.load(Ordering::Relaxed));
    is_told()
}

#[inline(never)] // its name is in backtraces
fn teller() {
    while !CLOSED.load(Ordering::Relaxed) {
        thread::safe_point();
        note(TELLER, bank::balance(TELLER as u64, YEARS[TELLER]));
    }
}

/// Sleeper and planner.
#[inline(never)] // its name is in backtraces
fn ask_when_told(who: usize) {
    loop {
        thread::safe_point();
        if !wait_for_bell(who) {
            return;
        }
        note(who, bank::balance(who as u64, YEARS[who]));
        DONE[who].fetch_add(1, Ordering::Relaxed);
    }
}

#[inline(never)] // its name is in backtraces
fn broker() {
    let balance = black_box(bank::balance as extern "C" fn(u64, u64) -> u64);
    loop {
        thread::safe_point();
        if !wait_for_bell(BROKER) {
            return;
        }
        note(BROKER, balance(BROKER as u64, YEARS[BROKER]));
        DONE[BROKER].fetch_add(1, Ordering::Relaxed);
    }
}

#[inline(never)] // its name is in backtraces
fn gardener() {
    while wait_for_bell(GARDENER) {
        DONE[GARDENER].fetch_add(1, Ordering::Relaxed);
    }
}

fn tick() {
    note(CLOCK, bank::balance(CLOCK as u64, YEARS[CLOCK]));
}

/// Opens the bank: starts all threads, and the clock. They are handed back in the
/// order of their numbers here.
///
/// # Errors
/// When there is no memory for them.
pub fn open() -> Result<Vec<Handle>, OutOfMemory> {
    let mut handles = Vec::with_capacity(CLOCK);
    handles.push(thread::spawn(NAMES[TELLER], teller)?);
    for who in [SLEEPER, PLANNER] {
        handles.push(thread::spawn(NAMES[who], move || ask_when_told(who))?);
    }
    handles.push(thread::spawn(NAMES[BROKER], broker)?);
    handles.push(thread::spawn(NAMES[GARDENER], gardener)?);
    time::call_on_tick(tick);
    Ok(handles)
}

/// Closes the bank: its threads end.
pub fn close(handles: Vec<Handle>) -> Result<(), thread::Stopped> {
    time::stop_calling();
    CLOSED.store(true, Ordering::Relaxed);
    BELL.wake_all();
    let result = handles.into_iter().try_for_each(Handle::join);
    // No thread waits any more: this gives back what the queues are made of.
    BELL.wake_all();
    bank::look_again();
    result
}

/// Tells one of them to do its work once.
pub fn tell(who: usize) {
    TOLD[who].fetch_add(1, Ordering::Relaxed);
    BELL.wake_all();
}

/// Whether it has done all that it was told.
fn is_done(who: usize) -> bool {
    TOLD[who].load(Ordering::Relaxed) == DONE[who].load(Ordering::Relaxed)
}

/// Waits until something has become so, while the others run. Says whether it has.
pub fn until(mut done: impl FnMut() -> bool) -> bool {
    let deadline = arch::timebase() + time::timebase_ticks(PATIENCE);
    while !done() {
        if arch::timebase() > deadline {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// Tells one of them to work, and waits for its answer.
pub fn ask(who: usize) -> Option<u64> {
    tell(who);
    until(|| is_done(who)).then(|| TALLIES[who].last.load(Ordering::Relaxed))
}

/// Waits until one that was told to work has done it. Says whether it has.
pub fn finish(who: usize) -> bool {
    until(|| is_done(who))
}

/// Waits until teller and clock, which call by themselves, have each got an answer by a
/// rate since `before`. Says whether they have.
pub fn until_answered(rate: usize) -> bool {
    let count = |who: usize| TALLIES[who].by_rate[rate].load(Ordering::Relaxed);
    let before = [TELLER, CLOCK].map(count);
    until(|| count(TELLER) > before[0] && count(CLOCK) > before[1])
}

/// Waits until each thread sleeps but the caller, the teller, which never does, and what idle
/// CPUs run; so all of them can be looked at. Says whether they do.
pub fn until_asleep(handles: &[Handle]) -> bool {
    let awake = [thread::current().id(), handles[TELLER].thread().id()];
    let sleeps =
        |one: &Thread| one.state() == State::Asleep || one.is_idle() || awake.contains(&one.id());
    until(|| thread::all().all(|one| sleeps(&one)))
}

/// Sends one of them into the function, with its account locked, and waits until it
/// sleeps there. Says whether it does.
pub fn send_to_sleep(who: usize, handles: &[Handle]) -> bool {
    bank::lock(who);
    tell(who);
    until(|| bank::looks(who) > 0) && until_asleep(handles)
}

/// What all of them and the cashiers counted, by rate, and how many answers were bad.
pub fn totals() -> ([u64; RATES], u64) {
    let mut sum = [0; RATES];
    let all = || TALLIES.iter().chain(cashiers::tallies());
    for tally in all() {
        for (sum, count) in sum.iter_mut().zip(tally.counts()) {
            *sum += count;
        }
    }
    (sum, all().map(Tally::bad).sum())
}
