//! The step explorer's patch: what is called at every instruction, and what keeps a
//! transition from ending.
#![no_std]

use core::sync::atomic::{AtomicU64, Ordering};

klp::module! {
    name: "explore",
    replaces: [
        "lab::explore::functions::value" => value,
        "lab::explore::functions::hold" => hold,
    ],
}

/// How often `value` was called, about: reached by way of this module's own TOC. Not
/// added to atomically, which takes a reservation, and a trap after every instruction
/// is the end of that.
static CALLS: AtomicU64 = AtomicU64::new(0);

klp::replacement! {
    /// One more than the original.
    pub extern "C" fn value(x: u64) -> u64 {
        CALLS.store(CALLS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        x.wrapping_mul(3).wrapping_add(2)
    }

    /// Calls `inside`, as the original does.
    pub extern "C" fn hold(inside: extern "C" fn()) {
        inside();
    }
}
