//! System states: what a patch's callbacks have changed in the kernel, so that a
//! later patch can take it over (Linux Documentation/livepatch/system-state.rst).

use crate::kernel::klp_previous_state;
use core::sync::atomic::{AtomicU64, Ordering};

/// A state: a static of the module's, listed in its [`module!`](crate::module).
///
/// The kernel accepts a patch only if it knows all states of those that are
/// enabled, in the same version or a later one.
#[derive(Debug)]
#[repr(C)]
pub struct State {
    /// Which state. All patches that change the same thing use the same number.
    pub id: u32,
    /// The version of the change.
    pub version: u32,
    /// Whatever the callbacks keep here; no other code looks at it.
    pub data: AtomicU64,
}

impl State {
    /// A state without data so far.
    #[must_use]
    pub const fn new(id: u32, version: u32) -> Self {
        Self {
            id,
            version,
            data: AtomicU64::new(0),
        }
    }
}

/// What a patch before has made of a state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Previous {
    /// Its version of the change.
    pub version: u32,
    /// What its callbacks keep.
    pub data: u64,
}

/// The state of this number in the newest of the patches that were enabled before
/// this one. For callbacks: while one runs, no patch comes or goes.
#[inline]
#[must_use]
pub fn previous(id: u32) -> Option<Previous> {
    let state = klp_previous_state(id);
    // SAFETY: null, or a static of a module that is enabled, so it is not unloaded
    // while this reads it.
    let state = unsafe { state.as_ref() }?;
    Some(Previous {
        version: state.version,
        data: state.data.load(Ordering::Acquire),
    })
}
