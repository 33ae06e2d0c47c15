//! Says what blocks a transition that does not end.

use alloc::{format, string::String};
use core::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};
use thread::Handle;

/// Transitions so far.
static ROUND: AtomicU32 = AtomicU32::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

/// How long a transition may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Another transition begins.
pub fn feed() {
    ROUND.fetch_add(1, Ordering::Relaxed);
}

/// Starts to watch.
pub fn start() -> Result<Handle, String> {
    STOP.store(false, Ordering::Relaxed);
    thread::spawn("watchdog", watch).map_err(|error| format!("{error}"))
}

/// Ends that.
pub fn stop(watchdog: Handle) -> Result<(), String> {
    STOP.store(true, Ordering::Relaxed);
    watchdog.thread().unpark();
    watchdog.join().map_err(|error| format!("{error}"))
}

fn watch() {
    let mut last = ROUND.load(Ordering::Relaxed);
    let mut told = None;
    let patience = machine::time::timebase_ticks(PATIENCE);
    loop {
        let deadline = machine::arch::timebase() + patience;
        while !STOP.load(Ordering::Relaxed) && machine::arch::timebase() < deadline {
            thread::safe_point();
            thread::park_until(deadline.min(machine::arch::timebase() + patience / 1000));
        }
        if STOP.load(Ordering::Relaxed) {
            return;
        }
        let round = ROUND.load(Ordering::Relaxed);
        // Once: to the runner, each line is a sign of life.
        if round == last && told != Some(round) {
            told = Some(round);
            report();
        }
        last = round;
    }
}

fn report() {
    println!("soak: nothing has happened for {} s", PATIENCE.as_secs());
    match livepatch::running() {
        Some(running) => println!("  {running:?}"),
        None => println!("  no transition runs"),
    }
    for thread in livepatch::progress() {
        if !thread.switched {
            match thread.blocked {
                Some(held) => println!("  {:?}: {held}", thread.thread),
                None => println!("  {:?}: could switch now", thread.thread),
            }
        }
    }
    for thread in thread::all() {
        println!("  {thread:?}: {:?}", thread.activity());
    }
}
