//! A patch of what a thread begins with: it takes up what the thread takes along.
#![no_std]

use core::{
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

klp::module! {
    name: "test_klp_begins",
    replaces: [
        "thread::run::<selftest::tests::livepatch::ours::livepatch_stack::begin::{closure#0}>" => run,
    ],
}

klp::replacement! {
    /// Adds 100 to the number that the old one would add 1 to. The kernel passes the end of
    /// what the thread takes along: a closure, which holds a reference to the number.
    pub extern "C" fn run(end: u64) {
        let end: *const &'static AtomicU64 = ptr::with_exposed_provenance(end as usize);
        // SAFETY: nothing but that lies there, and the thread has not begun.
        let number = unsafe { *end.sub(1) };
        number.fetch_add(100, Ordering::Relaxed);
    }
}
