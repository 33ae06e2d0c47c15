//! The functions of in_c.c, and the descriptor of a module that has them.

use core::ffi::{c_int, c_long};

/// The descriptor of the module with this name.
macro_rules! describe {
    ($name:literal) => {
        klp::module! {
            name: $name,
            replaces: [
                "lab::targets::leaf" => $crate::functions::leaf,
                "lab::targets::sum12" => $crate::functions::sum12,
                "lab::targets::find" => $crate::functions::find,
                "lab::targets::is_even" => $crate::functions::is_even,
                "lab::targets::report" => $crate::functions::report,
                "lab::targets::nothing" => $crate::functions::nothing,
                "c_counts" => $crate::functions::counts,
                "c_variadic" => $crate::functions::variadic,
            ],
        }
    };
}

unsafe extern "C" {
    pub fn leaf(value: u64) -> u64;
    pub fn sum12(
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
    pub fn find(wanted: u64, limit: u64) -> i64;
    pub fn is_even(value: u32) -> bool;
    pub fn report(hidden: *mut (), value: u64);
    pub fn nothing();
    pub fn counts(value: c_long) -> c_long;
    pub fn variadic(count: c_int, ...) -> c_long;
}
