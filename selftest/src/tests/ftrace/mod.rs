//! Sites, trampolines and ops, at work on the functions.

mod all;
mod calls;
mod control;
mod recursion;

use alloc::{format, string::String};
use core::sync::atomic::{AtomicU64, Ordering};
use ftrace::{Callback, Flags, Ops, Site, find_site};
use layout::CallFrame;

/// An ops that counts, and remembers the last call.
struct Counter {
    ops: Ops,
    hits: AtomicU64,
    ip: AtomicU64,
    parent: AtomicU64,
    argument: AtomicU64,
}

/// Calls of all [`Counter`]s go through one callback, which finds its counter
/// around the ops.
extern "C" fn count(ip: u64, parent: u64, ops: &Ops, frame: &mut CallFrame) {
    let counter = core::ptr::from_ref(ops)
        .wrapping_byte_sub(core::mem::offset_of!(Counter, ops))
        .cast::<Counter>();
    // SAFETY: only `Counter::new` makes an ops with this callback, inside a
    // static Counter.
    let counter = unsafe { &*counter };
    counter.hits.fetch_add(1, Ordering::Relaxed);
    counter.ip.store(ip, Ordering::Relaxed);
    counter.parent.store(parent, Ordering::Relaxed);
    counter.argument.store(frame.gpr[3], Ordering::Relaxed);
}

impl Counter {
    const fn new(name: &'static str, flags: Flags) -> Self {
        Self {
            ops: Ops::new(name, count as Callback, flags),
            hits: AtomicU64::new(0),
            ip: AtomicU64::new(0),
            parent: AtomicU64::new(0),
            argument: AtomicU64::new(0),
        }
    }

    /// How often it was called since the last question.
    fn take(&self) -> u64 {
        self.hits.swap(0, Ordering::Relaxed)
    }
}

/// The site of a function.
fn site_of(function: u64) -> Result<Site, String> {
    find_site(function).ok_or_else(|| format!("{function:#x} has no site"))
}

/// An error as a self-test's message.
fn text(error: impl core::fmt::Display) -> String {
    format!("{error}")
}
