//! An office that gives out tickets, to be mended while it is open: exercise 12
//! (docs/exercises/12-tickets.md).

use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};
use shell::{Callable, plain};

/// The number of the next ticket.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Gives out the next ticket: they are 1 to `last`. Returns 0 if none is left.
#[inline(never)]
pub extern "C" fn ticket(last: u64) -> u64 {
    let ticket = NEXT.fetch_add(1, Ordering::Relaxed);
    if ticket < black_box(last) { ticket } else { 0 }
}

/// How the shell's `call` calls it.
pub static CALLABLES: &[Callable] = &[plain!("practice::tickets", ticket as "ticket",
    [0: ("LAST", 0, 1_000_000)], "the next ticket of those from 1 to the last; 0 if none is left")];
