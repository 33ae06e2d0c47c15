//! System states: what patches have changed beside functions, with versions, so that
//! a later patch can take it over (Linux `kernel/livepatch/state.c`).

use super::{LivepatchError, Patch, registry::REGISTRY};
use alloc::string::ToString;

/// Refuses a patch that does not know a state that an earlier one has changed, or
/// knows it in an older version. One that does not replace the earlier ones may
/// leave their states alone.
pub(super) fn are_compatible(patch: &Patch) -> Result<(), LivepatchError> {
    let descriptor = &patch.descriptor;
    let registry = REGISTRY.lock();
    for earlier in &registry.patches {
        for has in &earlier.descriptor.states {
            let found = descriptor.state(has.id).map(|state| state.version);
            let fits = match found {
                Some(version) => version >= has.version,
                None => !descriptor.replace,
            };
            if !fits {
                return Err(LivepatchError::State {
                    patch: earlier.name().to_string(),
                    id: has.id,
                    has: has.version,
                    found,
                });
            }
        }
    }
    Ok(())
}

/// Address of the `klp::State` with this id of the newest patch that is enabled
/// before the one that `caller` is code of.
#[must_use]
pub fn previous(id: u32, caller: u64) -> Option<u64> {
    let registry = REGISTRY.lock();
    let is_callers = |patch: &Patch| {
        let range = patch.module.range();
        (range.start..range.end).contains(&caller)
    };
    let before = registry.patches.iter().rev();
    let mut others = before.filter(|patch| !is_callers(patch));
    others.find_map(|patch| Some(patch.descriptor.state(id)?.address))
}
