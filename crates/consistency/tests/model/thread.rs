//! A simulated thread.

use consistency::{Code, PatchState};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Activity {
    Running,
    /// By its own will: its stack can be walked.
    Asleep,
    /// Somewhere: its stack can't be walked.
    Preempted,
}

/// A call that has not returned.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// What was called.
    pub function: usize,
    /// Which version of it runs.
    pub code: Code,
    /// Whether a walk of the stack gets past it.
    pub walkable: bool,
    /// Whether a forced switch switched it, so that nothing is promised.
    pub forced: bool,
}

#[derive(Clone, Debug)]
pub struct Thread {
    pub activity: Activity,
    /// The thread's patch state.
    pub patch_state: PatchState,
    /// The reference's idea of its side in the running transition.
    pub new_side: bool,
    /// Innermost last.
    pub stack: Vec<Frame>,
}

impl Thread {
    /// A running thread that has not called anything.
    pub const fn new(patch_state: PatchState, new_side: bool) -> Self {
        Self {
            activity: Activity::Running,
            patch_state,
            new_side,
            stack: Vec::new(),
        }
    }

    pub fn runs(&self) -> bool {
        self.activity == Activity::Running
    }

    /// Whether it runs and is in no function.
    pub fn is_free(&self) -> bool {
        self.runs() && self.stack.is_empty()
    }

    /// What another thread sees of its stack, and whether that is all of it.
    pub fn walk(&self) -> (&[Frame], bool) {
        // An interrupted function may not have opened its frame yet.
        let hidden = usize::from(self.activity == Activity::Preempted);
        let innermost = self.stack.len().saturating_sub(hidden);
        let obstacle = self.stack.iter().rposition(|frame| !frame.walkable);
        let outermost = obstacle.unwrap_or(0).min(innermost);
        let reliable = self.activity == Activity::Asleep && obstacle.is_none();
        (&self.stack[outermost..innermost], reliable)
    }
}
