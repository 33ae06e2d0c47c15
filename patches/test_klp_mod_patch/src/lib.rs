//! A patch of another module's function, and of nothing else.
#![no_std]

#[path = "../../test_common.rs"]
mod common;

common::telling_callbacks!("test_klp_mod_patch");

klp::module! {
    name: "test_klp_mod_patch",
    targets: [
        "test_klp_mod_target": {
            replaces: ["test_klp_mod_target::work" => work],
            callbacks: {
                pre_patch: pre_patch,
                post_patch: post_patch,
                pre_unpatch: pre_unpatch,
                post_unpatch: post_unpatch,
            },
        },
    ],
}

klp::replacement! {
    /// Thrice.
    pub extern "C" fn work(value: u64) -> u64 {
        value.wrapping_mul(3)
    }
}
