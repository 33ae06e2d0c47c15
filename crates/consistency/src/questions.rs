use crate::stack::Stack;
use crate::{Choice, Code, Function, Motion, PatchId, PatchState, Patches, Phase, Transition};

/// What threads, calls and the driver ask.
impl Patches {
    /// The running transition.
    #[inline]
    #[must_use]
    pub const fn transition(&self) -> Option<&Transition> {
        self.transition.as_ref()
    }

    /// Whether a thread with this state has done what the running transition
    /// asks. True if none runs.
    #[inline]
    #[must_use]
    pub fn has_switched(&self, patch_state: PatchState) -> bool {
        self.transition
            .as_ref()
            .is_none_or(|t| t.has_switched(patch_state))
    }

    /// Whether a thread with this state is on the new side of the running
    /// transition, reversed or not: what [`Choice::of`] wants. False if none runs.
    #[inline]
    #[must_use]
    pub fn is_on_new_side(&self, patch_state: PatchState) -> bool {
        self.transition
            .as_ref()
            .is_some_and(|t| t.is_on_new_side(patch_state))
    }

    /// What a thread's state becomes when it switches.
    #[must_use]
    pub fn goal(&self) -> PatchState {
        let last = PatchState(self.last);
        self.transition.as_ref().map_or(last, Transition::goal)
    }

    /// The functions that a thread which has still to switch must not have on its
    /// stack, ascending, no duplicates. A reversal and modules that come and go
    /// change them.
    #[must_use]
    pub fn leaving(&self) -> &[Code] {
        &self.leaving
    }

    /// How a call of this function is decided. None if no patch replaces it.
    #[must_use]
    pub fn choice(&self, old: Code) -> Option<Choice> {
        let at = self.find(old).ok()?;
        self.stacks.get(at).map(|stack| self.choice_of(stack))
    }

    /// All functions that patches replace, ascending, and how a call of each is
    /// decided.
    pub fn functions(&self) -> impl Iterator<Item = (Code, Choice)> {
        let stacks = self.stacks.iter();
        stacks.map(|stack| (stack.old, self.choice_of(stack)))
    }

    /// All patches that are enabled or in transition, oldest first.
    pub fn patches(&self) -> impl Iterator<Item = (PatchId, Phase)> {
        let patches = self.patches.iter();
        patches.map(|&patch| (patch, self.phase_of(patch)))
    }

    /// How far the patch is. None if it is neither enabled nor in transition.
    #[must_use]
    pub fn phase(&self, patch: PatchId) -> Option<Phase> {
        let known = self.patches.contains(&patch);
        known.then(|| self.phase_of(patch))
    }

    /// What the patch itself replaces, ascending by old function.
    pub fn functions_of(&self, patch: PatchId) -> impl Iterator<Item = Function> {
        self.stacks.iter().flat_map(move |stack| {
            let entries = stack.entries.iter();
            let its_own = entries.filter(move |e| e.patch == patch && !stack.restores(e));
            its_own.map(|entry| Function {
                old: stack.old,
                new: entry.new,
            })
        })
    }

    /// The patch that a replacement belongs to, the newest if several use it.
    #[must_use]
    pub fn owner(&self, new: Code) -> Option<PatchId> {
        let mut newest_first = self.patches.iter().rev().copied();
        newest_first.find(|&patch| self.functions_of(patch).any(|f| f.new == new))
    }
}

impl Patches {
    fn phase_of(&self, patch: PatchId) -> Phase {
        let mine = self.transition.as_ref().filter(|t| t.patch == patch);
        mine.map_or(Phase::Enabled, Transition::phase)
    }

    fn choice_of(&self, stack: &Stack) -> Choice {
        let Some((newest, earlier)) = stack.entries.split_last() else {
            // No such stack is kept. If one were, this would be right.
            let (newest, older, motion) = (stack.old, stack.old, Motion::Still);
            return Choice {
                newest,
                older,
                motion,
            };
        };
        let (motion, older) = match self.phase_of(newest.patch) {
            Phase::Enabled => (Motion::Still, newest.new),
            Phase::Enabling => (Motion::Coming, stack.below(earlier.len())),
            Phase::Disabling => (Motion::Going, stack.below(earlier.len())),
        };
        Choice {
            newest: newest.new,
            older,
            motion,
        }
    }
}
