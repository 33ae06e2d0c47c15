//! Exercise 9: callbacks, one of which refuses.

use super::{Busy, disable, enable, isolated, settle, start};
use crate::{check, exercises};
use alloc::string::ToString;
use livepatch::{LivepatchError, Options};

const PATCH: &str = "exercise_callback";

/// Checks how often the valve was opened and closed since the last time.
fn valve(when: &str, expected: (u64, u64)) -> super::Result {
    let found = exercises::take_valve();
    check!(
        found == expected,
        "expected: {when}, the valve was opened {} times and closed {}; found: {} and {}",
        expected.0,
        expected.1,
        found.0,
        found.1
    );
    Ok(())
}

/// The pump is not ready: the patch must refuse.
fn refuses() -> super::Result {
    let file = loader::find_file(PATCH)?;
    exercises::set_pump_ready(false);
    match livepatch::load(file.bytes, Options::default()) {
        Err(LivepatchError::PrePatch { .. }) => {}
        Err(error) => return Err(error.to_string()),
        Ok(_) => {
            return Err(
                "not done yet: the pump is not ready, and the patch was enabled; \
                 expected: its pre-patch callback refuses"
                    .into(),
            );
        }
    }
    check!(
        loader::find(PATCH).is_none(),
        "the module is still loaded after the refusal"
    );
    valve("after the refusal", (0, 0))
}

/// The pump is ready: the valve is open exactly while the patch is enabled.
fn opens_and_closes() -> super::Result {
    exercises::set_pump_ready(true);
    enable(PATCH)?;
    valve("when the patch is enabled", (1, 0))?;
    let found = exercises::flow(10);
    check!(
        found == 10,
        "expected: with the patch enabled, flow(10) is 10; found: {found}"
    );
    disable(PATCH)?;
    valve("when the patch is disabled again", (0, 1))?;
    loader::unload(PATCH).map_err(|error| error.to_string())
}

/// A thread has not gone back yet, others use the old function again: the valve must be
/// closed already.
fn closes_first() -> super::Result {
    enable(PATCH)?;
    valve("when the patch is enabled", (1, 0))?;
    let busy = Busy::start("busy")?;
    livepatch::disable(PATCH).map_err(|error| error.to_string())?;
    valve(
        "while the patch is disabled and threads use the old function again",
        (0, 1),
    )?;
    drop(busy);
    settle()?;
    valve("when all have gone back", (0, 0))?;
    loader::unload(PATCH).map_err(|error| error.to_string())
}

/// A thread has not switched yet: the valve must still be closed. Then everything is
/// turned round.
fn waits_for_all() -> super::Result {
    let busy = Busy::start("busy")?;
    start(PATCH)?;
    valve("while a thread still uses the old function", (0, 0))?;
    livepatch::reverse().map_err(|error| error.to_string())?;
    drop(busy);
    settle()?;
    valve("after a transition that was turned round", (0, 0))?;
    loader::unload(PATCH).map_err(|error| error.to_string())
}

crate::selftest! {
    control;

    /// The callbacks do what they should, when they should.
    fn opens_the_valve() {
        let result = isolated(|| {
            exercises::take_valve();
            refuses()?;
            opens_and_closes()?;
            waits_for_all()?;
            closes_first()
        });
        exercises::set_pump_ready(false);
        exercises::take_valve();
        result
    }
}
