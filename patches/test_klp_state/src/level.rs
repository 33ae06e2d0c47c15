//! What the patches of a system state have in common: their callbacks.

#[path = "../../test_common.rs"]
mod common;

use crate::{CHANGED, NAME, VERSION};
use core::sync::atomic::Ordering;
use klp::{Context, State};

/// The module with this name, which knows this version of the state and changes the level
/// to this.
macro_rules! patch {
    ($name:literal, version: $version:literal, level: $level:literal) => {
        const NAME: &str = $name;
        const VERSION: u32 = $version;
        const CHANGED: u64 = $level;

        klp::module! {
            name: $name,
            replace: true,
            callbacks: {
                pre_patch: level::pre_patch,
                post_patch: level::post_patch,
                pre_unpatch: level::pre_unpatch,
                post_unpatch: level::post_unpatch,
            },
            states: [level::LEVEL],
        }
    };
}

/// What was before any patch, kept in the state.
pub static LEVEL: State = State::new(0x636f_6e73, VERSION);

/// Takes over from an earlier patch, if one has changed the level already.
pub extern "C" fn pre_patch(context: &Context<'_>) -> i32 {
    common::note(NAME, "pre_patch", context);
    if let Some(previous) = klp::state::previous(LEVEL.id) {
        common::note(NAME, PREVIOUS[previous.version.min(3) as usize], context);
        LEVEL.data.store(previous.data, Ordering::Relaxed);
    }
    0
}

/// Changes the level, and keeps the old one unless an earlier patch has.
pub extern "C" fn post_patch(context: &Context<'_>) {
    common::note(NAME, "post_patch", context);
    let before = common::test_level(CHANGED);
    if klp::state::previous(LEVEL.id).is_none() {
        LEVEL.data.store(before, Ordering::Relaxed);
    }
}

/// Changes it back.
pub extern "C" fn pre_unpatch(context: &Context<'_>) {
    common::note(NAME, "pre_unpatch", context);
    common::test_level(LEVEL.data.load(Ordering::Relaxed));
}

pub extern "C" fn post_unpatch(context: &Context<'_>) {
    common::note(NAME, "post_unpatch", context);
}

/// What is noted of an earlier patch's state, by its version.
const PREVIOUS: [&str; 4] = [
    "takes over version 0",
    "takes over version 1",
    "takes over version 2",
    "takes over a later version",
];
