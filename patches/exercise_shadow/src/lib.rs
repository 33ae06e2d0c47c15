//! Exercise 7 (docs/exercises/07-shadow.md): how often each visitor has come.
#![no_std]

use core::sync::atomic::{AtomicU64, Ordering};

klp::module! {
    name: "exercise_shadow",
    replaces: ["selftest::exercises::visit" => visit],
}

/// How often there was a visit.
static VISITS: AtomicU64 = AtomicU64::new(0);

klp::replacement! {
    /// The how-manieth visit of this visitor it is, who is known by the address of its
    /// record.
    pub extern "C" fn visit(_visitor: u64) -> u64 {
        VISITS.fetch_add(1, Ordering::Relaxed) + 1
    }
}
