//! A patch with callbacks for the kernel and for two modules, which tell what they
//! are called for.
#![no_std]

#[path = "../../test_common.rs"]
mod common;

common::telling_callbacks!("test_klp_callbacks_demo");

klp::module! {
    name: "test_klp_callbacks_demo",
    callbacks: {
        pre_patch: pre_patch,
        post_patch: post_patch,
        pre_unpatch: pre_unpatch,
        post_unpatch: post_unpatch,
    },
    targets: [
        "test_klp_callbacks_mod": {
            replaces: [],
            callbacks: {
                pre_patch: pre_patch,
                post_patch: post_patch,
                pre_unpatch: pre_unpatch,
                post_unpatch: post_unpatch,
            },
        },
        "test_klp_callbacks_busy": {
            replaces: ["test_klp_callbacks_busy::work" => work],
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
    /// Does not stay, and returns 2.
    pub extern "C" fn work(_how: u64) -> u64 {
        2
    }
}
