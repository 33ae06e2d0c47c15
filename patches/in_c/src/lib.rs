//! A patch whose functions are written in C (in_c.c): one of each kind.
#![no_std]

use core::ffi::{c_int, c_long};

klp::module! {
    name: "in_c",
    replaces: [
        "kernel::victims::leaf" => leaf,
        "kernel::victims::sum12" => sum12,
        "kernel::victims::find" => find,
        "kernel::victims::is_even" => is_even,
        "kernel::victims::report" => report,
        "kernel::victims::nothing" => nothing,
        "c_counts" => counts,
        "c_variadic" => variadic,
    ],
}

unsafe extern "C" {
    fn leaf(value: u64) -> u64;
    fn sum12(
        a: u64,
        b: u64,
        c: u64,
        d: u64,
        e: u64,
        f: u64,
        g: u64,
        h: u64,
        i: u64,
        j: u64,
        k: u64,
        l: u64,
    ) -> u64;
    fn find(wanted: u64, limit: u64) -> i64;
    fn is_even(value: u32) -> bool;
    fn report(hidden: *mut (), value: u64);
    fn nothing();
    fn counts(value: c_long) -> c_long;
    fn variadic(count: c_int, ...) -> c_long;
}
