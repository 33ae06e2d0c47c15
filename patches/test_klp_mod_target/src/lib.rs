//! An ordinary module with a function that is patched.
#![no_std]

klp::module! {
    name: "test_klp_mod_target",
    provides: [work],
}

/// Twice.
pub extern "C" fn work(value: u64) -> u64 {
    core::hint::black_box(value).wrapping_mul(2)
}
