//! Threads: they run, are preempted, wait, end, and give everything back; and their
//! stacks can be read.

mod deep;
pub(super) mod in_use;
mod life;
mod memory;
mod park;
mod reach;
mod registers;
mod sleep;
mod slices;
mod traced;
mod walks;

pub(super) use memory::Everything;

use alloc::{format, string::String};
use core::time::Duration;
use machine::{arch, mm, time};
use thread::Handle;

/// How long a test waits for what must happen.
const LIMIT: Duration = Duration::from_secs(10);

/// A timebase that is not reached if all is well.
fn limit() -> u64 {
    arch::timebase() + time::timebase_ticks(LIMIT)
}

/// A thread, or why there is none as a self-test's message.
fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<Handle, String> {
    thread::spawn(name, body).map_err(|error| format!("{name}: {error}"))
}

fn join(handle: Handle) -> super::Result {
    handle.join().map_err(|error| format!("{error}"))
}

/// Gives way until something is true.
fn until(what: &str, mut is_true: impl FnMut() -> bool) -> super::Result {
    let limit = limit();
    while !is_true() {
        if arch::timebase() > limit {
            return Err(format!("{what}: not within {LIMIT:?}"));
        }
        thread::yield_now();
    }
    Ok(())
}

/// Runs a test until the heap is afterwards as it was before, three times at most
/// after the first. Tables grow once and stay; what is lost is lost every time.
fn leaves_nothing(body: impl Fn() -> super::Result) -> super::Result {
    let usage = || (mm::usage(), mm::stack_usage());
    body()?;
    let mut before = usage();
    for _ in 0..3 {
        body()?;
        let after = usage();
        if after == before {
            return Ok(());
        }
        before = after;
    }
    Err(format!("memory in use grows, up to {before:?}"))
}
