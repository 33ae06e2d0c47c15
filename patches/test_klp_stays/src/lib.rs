//! A patch with a function that threads stay in, as they do in the old one.
#![no_std]

#[path = "../../test_common.rs"]
mod common;

klp::module! {
    name: "test_klp_stays",
    replaces: ["lab::targets::live::stays" => stays],
}

klp::replacement! {
    /// Stays at the gate like the old one, and returns 2.
    pub extern "C" fn stays(how: u64, depth: u64) -> u64 {
        deep(how, depth)
    }
}

/// What calls itself is no replacement: only the hand-off may call those.
fn deep(how: u64, depth: u64) -> u64 {
    if depth == 0 {
        common::test_stay(how);
        2
    } else {
        core::hint::black_box(deep(how, core::hint::black_box(depth.wrapping_sub(1))))
    }
}
