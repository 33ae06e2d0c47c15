//! An ordinary module with a function that threads stay in.
#![no_std]

#[path = "../../test_common.rs"]
mod common;

klp::module! {
    name: "test_klp_callbacks_busy",
    provides: [work],
}

/// Stays at the kernel's gate, and returns 1.
pub extern "C" fn work(how: u64) -> u64 {
    common::test_stay(how);
    1
}
