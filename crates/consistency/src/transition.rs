use crate::{Code, PatchId, PatchState};
use alloc::vec::Vec;

/// What a transition was started for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// The patch comes.
    Enable,
    /// The patch goes.
    Disable,
}

/// How far a patch is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The running transition was started to enable it, even if it is reversed.
    Enabling,
    /// All threads use it.
    Enabled,
    /// The running transition was started to disable it, even if it is reversed.
    Disabling,
}

/// The way of all threads from one set of patches to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transition {
    pub(crate) number: u64,
    pub(crate) patch: PatchId,
    pub(crate) direction: Direction,
    pub(crate) replaces: bool,
    pub(crate) reversed: bool,
    pub(crate) forced: bool,
}

impl Transition {
    /// Its number, from 1 upwards and never used again.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The patch that comes or goes.
    #[must_use]
    pub const fn patch(&self) -> PatchId {
        self.patch
    }

    /// What it was started for. A reversal does not change this.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether the patch comes in place of all earlier ones.
    #[must_use]
    pub const fn replaces(&self) -> bool {
        self.replaces
    }

    /// Whether threads that have switched must go back at present.
    #[must_use]
    pub const fn reversed(&self) -> bool {
        self.reversed
    }

    /// Whether threads were, or will be, switched wherever they are.
    #[must_use]
    pub const fn forced(&self) -> bool {
        self.forced
    }

    /// Whether the patch is enabled when the transition completes as it stands.
    #[must_use]
    pub const fn ends_enabled(&self) -> bool {
        matches!(self.direction, Direction::Enable) != self.reversed
    }

    /// Whether a thread in this state is on the new side, the transition reversed or not:
    /// what [`Choice::of`](crate::Choice::of) wants.
    #[inline]
    #[must_use]
    pub const fn is_on_new_side(&self, patch_state: PatchState) -> bool {
        patch_state.is_of(self.number)
    }

    /// Whether a thread in this state has done what the transition asks.
    #[inline]
    #[must_use]
    pub const fn has_switched(&self, patch_state: PatchState) -> bool {
        self.is_on_new_side(patch_state) != self.reversed
    }

    /// What a thread's state becomes when it switches.
    #[inline]
    #[must_use]
    pub const fn goal(&self) -> PatchState {
        // The number of an earlier transition, or 0, is the old side.
        PatchState(if self.reversed {
            self.number - 1
        } else {
            self.number
        })
    }

    pub(crate) const fn phase(&self) -> Phase {
        match self.direction {
            Direction::Enable => Phase::Enabling,
            Direction::Disable => Phase::Disabling,
        }
    }
}

/// What a transition has left to do when it is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Completed {
    /// The transition, as it was at its end.
    pub transition: Transition,
    /// The patches that are gone, oldest first: disabled, no longer to be
    /// enabled, or replaced. Their code is on no thread's stack, unless the transition
    /// was forced, or another patch uses the same code.
    pub removed: Vec<PatchId>,
    /// The old functions, ascending, that no patch replaces any more.
    pub released: Vec<Code>,
    /// Whether threads were switched wherever they were. Then the code of the
    /// removed patches must be kept for ever: a thread may still return to it.
    pub forced: bool,
}
