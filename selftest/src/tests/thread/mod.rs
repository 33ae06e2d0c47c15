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

use super::common::{LIMIT, join, limit, spawn, until};
use alloc::format;
use machine::mm;

/// Runs a test until the heap is afterwards as it was before, three times at most
/// after the first. Tables grow once and stay; what is lost is lost every time.
fn leaves_nothing(body: impl Fn() -> super::Result) -> super::Result {
    let usage = || (mm::usage(), mm::stacks::usage());
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
