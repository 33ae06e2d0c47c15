//! What the model should say, worked out anew for each question from a list
//! of patches: no stacks, no patch states.

use crate::plan::{FUNCTIONS, PATCHES, Plan, id, original};
use consistency::{Code, Direction, ModelError, PatchId, Phase};

/// A transition.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    pub patch: usize,
    pub direction: Direction,
    pub reversed: bool,
}

/// The patches, and which of them a thread sees.
pub struct Reference {
    pub plans: [Plan; PATCHES],
    /// Enabled or in transition, oldest first.
    pub patches: Vec<usize>,
    pub running: Option<Running>,
}

impl Reference {
    pub const fn new(plans: [Plan; PATCHES]) -> Self {
        Self {
            plans,
            patches: Vec::new(),
            running: None,
        }
    }

    /// The patches that a thread sees, given whether it is on the new side.
    pub fn seen(&self, new_side: bool) -> Vec<usize> {
        let mut seen = self.patches.clone();
        if let Some(Running {
            patch, direction, ..
        }) = self.running
        {
            match (direction, new_side) {
                (Direction::Enable, true) if self.plans[patch].replace => seen = vec![patch],
                (Direction::Enable, true) | (Direction::Disable, false) => {}
                (Direction::Enable, false) | (Direction::Disable, true) => {
                    seen.retain(|&p| p != patch);
                }
            }
        }
        seen
    }

    /// The code for a call by a thread that sees these patches.
    pub fn code(&self, function: usize, seen: &[usize]) -> Code {
        let newest_first = seen.iter().rev();
        let mut new = newest_first.filter_map(|&patch| self.plans[patch].new[function]);
        new.next().unwrap_or(original(function))
    }

    /// Whether any patch replaces the function.
    pub fn is_patched(&self, function: usize) -> bool {
        let mut patches = self.patches.iter();
        patches.any(|&patch| self.plans[patch].new[function].is_some())
    }

    /// All functions that are patched, of those that `there` says are there.
    pub fn patched(&self, there: impl Fn(usize) -> bool) -> Vec<usize> {
        let functions = 0..FUNCTIONS;
        functions
            .filter(|&f| there(f) && self.is_patched(f))
            .collect()
    }

    pub fn phases(&self) -> Vec<(PatchId, Phase)> {
        let phase = |patch| match self.running {
            Some(running) if running.patch == patch => match running.direction {
                Direction::Enable => Phase::Enabling,
                Direction::Disable => Phase::Disabling,
            },
            _ => Phase::Enabled,
        };
        let patches = self.patches.iter();
        patches.map(|&patch| (id(patch), phase(patch))).collect()
    }

    fn start(&mut self, patch: usize, direction: Direction) -> Result<(), ModelError> {
        if let Some(running) = self.running {
            let patch = id(running.patch);
            return Err(ModelError::TransitionRuns { patch });
        }
        match (direction, self.patches.contains(&patch)) {
            (Direction::Enable, true) => return Err(ModelError::Enabled(id(patch))),
            (Direction::Disable, false) => return Err(ModelError::NotEnabled(id(patch))),
            (Direction::Enable, false) => self.patches.push(patch),
            (Direction::Disable, true) => {}
        }
        self.running = Some(Running {
            patch,
            direction,
            reversed: false,
        });
        Ok(())
    }

    pub fn enable(&mut self, patch: usize) -> Result<(), ModelError> {
        self.start(patch, Direction::Enable)
    }

    pub fn disable(&mut self, patch: usize) -> Result<(), ModelError> {
        self.start(patch, Direction::Disable)
    }

    pub fn reverse(&mut self) -> Result<(), ModelError> {
        let running = self.running.as_mut().ok_or(ModelError::NoTransition)?;
        running.reversed = !running.reversed;
        Ok(())
    }

    /// Returns the patches that are gone.
    pub fn complete(&mut self) -> Vec<usize> {
        let reversed = self.running.is_some_and(|running| running.reversed);
        let stay = self.seen(!reversed);
        self.running = None;
        let before = core::mem::replace(&mut self.patches, stay);
        let gone = before.into_iter().filter(|p| !self.patches.contains(p));
        gone.collect()
    }
}
