//! The soak's patch: a new version of each of its functions. A result is 1,000 more
//! than the old one's, and each new function counts its calls by itself.
#![no_std]

use core::sync::atomic::{AtomicU64, Ordering};

klp::module! {
    name: "soak",
    replaces: [
        "lab::soak::functions::direct" => direct,
        "lab::soak::functions::pointer" => pointer,
        "lab::soak::functions::recursive" => recursive,
        "lab::targets::sum12" => sum12,
        "c_leaf" => leaf,
        "c_into_rust" => into_rust,
        "lab::soak::functions::slow" => slow,
    ],
    provides: [counted],
}

/// Pages without code. QEMU looks at every store to a page that it has translated code
/// of, and these are most of what a soak stores.
#[repr(align(4096))]
struct Counts([AtomicU64; 7]);

/// By function, in the kernel's order.
static COUNTS: Counts = Counts([const { AtomicU64::new(0) }; 7]);

const MARK: u64 = 1000;

fn count(function: usize) {
    COUNTS.0[function].fetch_add(1, Ordering::Relaxed);
}

/// How often a function was called since the module was loaded.
pub extern "C" fn counted(function: u64) -> u64 {
    COUNTS
        .0
        .get(function as usize)
        .map_or(0, |count| count.load(Ordering::Relaxed))
}

/// What the old `recursive` returns.
fn recursion(depth: u64) -> u64 {
    (2 << depth) - 1
}

klp::replacement! {
    /// A leaf.
    pub extern "C" fn direct(value: u64) -> u64 {
        count(0);
        value * 3 + MARK
    }

    /// The same, for calls by pointer.
    pub extern "C" fn pointer(value: u64) -> u64 {
        count(1);
        value * 5 + MARK
    }

    /// No recursion any more.
    pub extern "C" fn recursive(depth: u64) -> u64 {
        count(2);
        recursion(depth) + MARK
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

    /// For a C function without TOC set-up.
    pub extern "C" fn leaf(value: i64) -> i64 {
        count(4);
        3 * value + 1 + MARK as i64
    }

    /// For a C function that calls Rust.
    pub extern "C" fn into_rust(value: i64) -> i64 {
        count(5);
        2 * value + 1 + MARK as i64
    }

    /// Gives way between two calls of a function of the kernel's that is replaced
    /// too: both must come here.
    pub extern "C" fn slow(value: u64) -> u64 {
        count(6);
        let one = klp::kernel::c_leaf(value as i64);
        klp::thread::yield_now();
        let other = klp::kernel::c_leaf(value as i64);
        if one == other && one == 3 * value as i64 + 1 + MARK as i64 {
            value * 11 + MARK
        } else {
            u64::MAX
        }
    }
}
