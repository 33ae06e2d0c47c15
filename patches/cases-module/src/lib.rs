//! Replaces a function of the module `cases-target`.
#![no_std]

use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

klp::module! {
    name: "cases-module",
    replaces: ["lab::functions::hold" => hold],
    targets: ["cases-target": { replaces: ["cases_target::inner" => inner] }],
}

static MORE: AtomicU64 = AtomicU64::new(1_000_000);

klp::replacement! {
    /// C.
    pub extern "C" fn inner(value: u64) -> u64 {
        value + black_box(&MORE).load(Ordering::Relaxed)
    }

    /// Holds no thread.
    pub extern "C" fn hold(_what: *const ()) -> u64 {
        black_box(&MORE).load(Ordering::Relaxed)
    }
}
