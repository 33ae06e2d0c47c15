//! The demonstration's patch: one of each kind of function that can be replaced.
#![no_std]

extern crate alloc;

use alloc::{format, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};
use klp::Pair;

klp::module! {
    name: "kinds",
    replaces: [
        "lab::targets::leaf" => leaf,
        "lab::targets::sum12" => sum12,
        "c_counts" => counts,
        "lab::targets::divide" => divide,
        "lab::targets::find" => find,
        "lab::targets::report" => report,
        "lab::targets::nothing" => nothing,
        "lab::targets::is_even" => is_even,
    ],
}

/// How often this module's functions were called: a static of the module's own.
static CALLS: AtomicU64 = AtomicU64::new(0);

fn count() -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

klp::replacement! {
    /// One more than the old one returns.
    pub extern "C" fn leaf(value: u64) -> u64 {
        count();
        value * 3 + 2
    }

    /// Twelve arguments, four of them on the stack; formats and allocates.
    pub extern "C" fn sum12(
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64,
        g: u64, h: u64, i: u64, j: u64, k: u64, l: u64,
    ) -> u64 {
        count();
        let all: Vec<u64> = [a, b, c, d, e, f, g, h, i, j, k, l].into();
        let text = format!("{all:?}");
        all.iter().zip(1..).map(|(value, weight)| value * weight).sum::<u64>() + text.len() as u64
    }

    /// Calls back into the kernel, in Rust and in C.
    pub extern "C" fn counts(value: i64) -> i64 {
        count();
        klp::kernel::rust_twice(value) + klp::kernel::c_leaf(value)
    }

    /// Several exits, one of them out of a loop.
    pub extern "C" fn find(wanted: u64, limit: u64) -> i64 {
        count();
        if limit == 0 {
            return -1;
        }
        for candidate in 0..limit {
            if candidate * candidate == wanted {
                return candidate as i64;
            }
        }
        -2
    }

    /// No value.
    pub extern "C" fn nothing() {
        count();
    }

    /// A bool.
    pub extern "C" fn is_even(value: u32) -> bool {
        count();
        value.is_multiple_of(2)
    }

    /// Two registers.
    pub extern "C" fn divide(value: u64, by: u64) -> Pair<u64, u64> {
        count();
        match value.checked_div(by) {
            Some(first) => Pair { first, second: value % by },
            None => Pair { first: u64::MAX, second: value },
        }
    }
}

/// A struct that does not fit into two registers.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Report {
    /// Calls of this module so far.
    pub calls: u64,
    /// Ticks since boot.
    pub ticks: u64,
    /// What was passed, and its double and triple.
    pub values: [u64; 3],
}

klp::replacement! {
    /// Through a hidden pointer.
    pub extern "C" fn report(value: u64) -> hidden Report {
        Report {
            calls: count(),
            ticks: klp::kernel::ticks(),
            values: [value, 2 * value, 3 * value],
        }
    }
}
