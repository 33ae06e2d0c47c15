//! A patch with callbacks that change a system state.
#![no_std]

#[path = "../../test_common.rs"]
mod common;

use core::sync::atomic::Ordering;
use klp::{Context, State};

/// The module's name, in notes.
const NAME: &str = "test_klp_state";

klp::module! {
    name: "test_klp_state",
    replace: true,
    callbacks: {
        pre_patch: pre_patch,
        post_patch: post_patch,
        pre_unpatch: pre_unpatch,
        post_unpatch: post_unpatch,
    },
    states: [LEVEL],
}

/// What was before any patch, kept in the state.
static LEVEL: State = State::new(0x636f_6e73, 1);

/// Takes over from an earlier patch, if one has changed the level already.
extern "C" fn pre_patch(context: &Context<'_>) -> i32 {
    common::note(NAME, "pre_patch", context);
    if let Some(previous) = klp::state::previous(LEVEL.id) {
        common::note(NAME, PREVIOUS[previous.version.min(3) as usize], context);
        LEVEL.data.store(previous.data, Ordering::Relaxed);
    }
    0
}

/// Changes the level, and keeps the old one unless an earlier patch has.
extern "C" fn post_patch(context: &Context<'_>) {
    common::note(NAME, "post_patch", context);
    let before = common::test_level(15);
    if klp::state::previous(LEVEL.id).is_none() {
        LEVEL.data.store(before, Ordering::Relaxed);
    }
}

/// Changes it back.
extern "C" fn pre_unpatch(context: &Context<'_>) {
    common::note(NAME, "pre_unpatch", context);
    common::test_level(LEVEL.data.load(Ordering::Relaxed));
}

extern "C" fn post_unpatch(context: &Context<'_>) {
    common::note(NAME, "post_unpatch", context);
}

/// What is noted of an earlier patch's state, by its version.
const PREVIOUS: [&str; 4] = [
    "takes over version 0",
    "takes over version 1",
    "takes over version 2",
    "takes over a later version",
];
