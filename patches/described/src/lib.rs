//! A patch with a descriptor that says everything that one can say: for tests, which look
//! at what the kernel makes of it.
#![no_std]

use core::sync::atomic::Ordering;
use klp::{Context, State};

klp::module! {
    name: "described",
    replace: true,
    replaces: ["c_leaf" => leaf, "twins::same"[2] => same],
    callbacks: { pre_patch: asked, post_patch: told, pre_unpatch: told, post_unpatch: told },
    targets: [
        "other": { replaces: ["other::work"[1] => leaf], callbacks: { pre_patch: asked } },
        "another": { replaces: [] },
    ],
    states: [LENGTHS, NOTHING],
    provides: [twice],
}

/// The sum of the lengths of the names that callbacks were told.
static LENGTHS: State = State::new(0x6c65_6e67, 3);

/// Unused.
static NOTHING: State = State::new(0x6e6f_7468, 1);

klp::replacement! {
    /// For one in the kernel, and one in another module.
    pub extern "C" fn leaf(value: i64) -> i64 {
        value + 100
    }

    /// For the second by address.
    pub extern "C" fn same() -> u32 {
        3
    }
}

/// Says 0, which is yes, to the kernel alone.
pub extern "C" fn asked(context: &Context<'_>) -> i32 {
    told(context);
    i32::from(context.object() != "kernel")
}

/// Adds to the sum.
pub extern "C" fn told(context: &Context<'_>) {
    let length = context.object().len() as u64;
    LENGTHS.data.fetch_add(length, Ordering::Relaxed);
}

/// No code in here calls this.
pub extern "C" fn twice(value: u64) -> u64 {
    value * 2
}
