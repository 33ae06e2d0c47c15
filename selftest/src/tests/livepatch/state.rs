//! System states that patches change and take over (test-state.sh).

use super::{
    disable, enable, enable_replacing, file, is, noted, refused, remove, start, undisturbed, unload,
};
use crate::{check, tests::Result};
use lab::targets::live::{self, LEVEL_AT_REST};
use livepatch as klp;
use livepatch::{Options, Status};

/// Checks the system state, and prints it.
fn level(expected: u64) -> Result {
    let found = live::level();
    println!("level {found}");
    check!(
        found == expected,
        "the level is {found} instead of {expected}"
    );
    Ok(())
}

crate::selftest! {
    /// A patch changes it, and changes it back.
    fn system_state_modification() {
        undisturbed(|| {
            level(LEVEL_AT_REST)?;
            enable("test_klp_state")?;
            level(15)?;
            disable("test_klp_state")?;
            level(LEVEL_AT_REST)?;
            unload("test_klp_state")?;
            noted(&[
                "test_klp_state: pre_patch: kernel",
                "test_klp_state: post_patch: kernel",
                "test_klp_state: pre_unpatch: kernel",
                "test_klp_state: post_unpatch: kernel",
            ])
        })
    }

    /// A cumulative patch takes over what an earlier one has kept, and it is the one
    /// that restores it.
    fn taking_over_system_state_modification() {
        undisturbed(|| {
            enable("test_klp_state")?;
            enable("test_klp_state2")?;
            level(16)?;
            is("test_klp_state", None)?;
            unload("test_klp_state")?;
            remove("test_klp_state2")?;
            level(LEVEL_AT_REST)?;
            noted(&[
                "test_klp_state: pre_patch: kernel",
                "test_klp_state: post_patch: kernel",
                "test_klp_state2: pre_patch: kernel",
                "test_klp_state2: takes over version 1: kernel",
                "test_klp_state2: post_patch: kernel",
                "test_klp_state2: pre_unpatch: kernel",
                "test_klp_state2: post_unpatch: kernel",
            ])
        })
    }

    /// The same version is compatible in both directions.
    fn compatible_cumulative_livepatches() {
        undisturbed(|| {
            enable("test_klp_state2")?;
            enable("test_klp_state3")?;
            level(17)?;
            unload("test_klp_state2")?;
            enable("test_klp_state2")?;
            level(16)?;
            unload("test_klp_state3")?;
            remove("test_klp_state2")?;
            level(LEVEL_AT_REST)?;
            noted(&[
                "test_klp_state2: pre_patch: kernel",
                "test_klp_state2: post_patch: kernel",
                "test_klp_state3: pre_patch: kernel",
                "test_klp_state3: takes over version 2: kernel",
                "test_klp_state3: post_patch: kernel",
                "test_klp_state2: pre_patch: kernel",
                "test_klp_state2: takes over version 2: kernel",
                "test_klp_state2: post_patch: kernel",
                "test_klp_state2: pre_unpatch: kernel",
                "test_klp_state2: post_unpatch: kernel",
            ])
        })
    }

    /// An older version is refused, and so is a cumulative patch that does not know
    /// the state at all; one that replaces no other patch may leave it alone.
    fn incompatible_cumulative_livepatches() {
        undisturbed(|| {
            enable("test_klp_state2")?;
            drop(live::take_notes());
            let older = klp::load(file("test_klp_state")?, Options::default());
            refused("the older version", older, "system state 1668247155 is at version 2 by patch `test_klp_state2`, and this one has version 1")?;
            let replacing = super::replacing("test_klp_atomic_replace")?;
            let unknown = klp::load(&replacing, Options::default());
            refused("a patch that does not know it", unknown, "patch `test_klp_state2` has changed system state 1668247155 (version 2), which this one does not know")?;
            noted(&[])?;
            for refused in ["test_klp_state", "test_klp_atomic_replace"] {
                is(refused, None)?;
                check!(loader::find(refused).is_none(), "`{refused}` is still loaded");
            }
            level(16)?;
            enable("test_klp_livepatch")?;
            remove("test_klp_livepatch")?;
            remove("test_klp_state2")?;
            level(LEVEL_AT_REST)
        })
    }

    /// The take-over is reversed: the earlier patch still has its state, and restores
    /// it in the end.
    fn reversed_take_over() {
        undisturbed(|| {
            enable("test_klp_state")?;
            enable("test_klp_stays")?;
            // Replacing leaves the earlier patch's function, so a thread in it blocks the
            // transition.
            let staying = super::Staying::in_target("new", 0, live::ASLEEP, 0)?;
            start("test_klp_state2")?;
            level(15)?;
            klp::reverse().map_err(super::text)?;
            super::ends_as("test_klp_state2", None)?;
            is("test_klp_state", Some(Status::Enabled))?;
            is("test_klp_stays", Some(Status::Enabled))?;
            level(15)?;
            staying.returns(2)?;
            unload("test_klp_state2")?;
            remove("test_klp_stays")?;
            remove("test_klp_state")?;
            level(LEVEL_AT_REST)
        })
    }

    /// Without a state of one's own everything may be replaced.
    fn nothing_to_take_over() {
        undisturbed(|| {
            enable("test_klp_livepatch")?;
            enable_replacing("test_klp_atomic_replace")?;
            enable("test_klp_state")?;
            is("test_klp_atomic_replace", None)?;
            unload("test_klp_livepatch")?;
            unload("test_klp_atomic_replace")?;
            remove("test_klp_state")?;
            level(LEVEL_AT_REST)
        })
    }
}
