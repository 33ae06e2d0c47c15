//! The soak's second patch: an even newer version of two of its functions, with
//! results 2,000 above the old ones'.
#![no_std]

use core::sync::atomic::{AtomicU64, Ordering};

klp::module! {
    name: "soak2",
    replaces: [
        "lab::soak::functions::pointer" => pointer,
        "lab::targets::sum12" => sum12,
    ],
    provides: [counted],
}

/// By function, in the kernel's order.
static COUNTS: [AtomicU64; 7] = [const { AtomicU64::new(0) }; 7];

const MARK: u64 = 2000;

fn count(function: usize) {
    COUNTS[function].fetch_add(1, Ordering::Relaxed);
}

/// How often a function was called since the module was loaded.
pub extern "C" fn counted(function: u64) -> u64 {
    COUNTS
        .get(function as usize)
        .map_or(0, |count| count.load(Ordering::Relaxed))
}

klp::replacement! {
    /// By pointer.
    pub extern "C" fn pointer(value: u64) -> u64 {
        count(1);
        value * 5 + MARK
    }

    /// Four arguments on the stack.
    pub extern "C" fn sum12(
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64,
        g: u64, h: u64, i: u64, j: u64, k: u64, l: u64,
    ) -> u64 {
        count(3);
        let all = [a, b, c, d, e, f, g, h, i, j, k, l];
        all.iter().zip(1..).map(|(value, weight)| value * weight).sum::<u64>() + MARK
    }
}
