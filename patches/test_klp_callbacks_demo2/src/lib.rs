//! A patch that has only callbacks, for the kernel. Its tests set the flag that makes
//! it replace all others.
#![no_std]

#[path = "../../test_common.rs"]
mod common;

common::telling_callbacks!("test_klp_callbacks_demo2");

klp::module! {
    name: "test_klp_callbacks_demo2",
    callbacks: {
        pre_patch: pre_patch,
        post_patch: post_patch,
        pre_unpatch: pre_unpatch,
        post_unpatch: post_unpatch,
    },
}
