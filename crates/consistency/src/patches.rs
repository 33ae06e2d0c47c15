use crate::stack::{Entry, Stack};
use crate::{Code, Completed, Direction, Function, ModelError, PatchId, Transition, leaving};
use alloc::vec::Vec;
use smallvec::SmallVec;

/// All patches that are enabled or in transition, and what they replace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Patches {
    /// Oldest first.
    pub(crate) patches: Vec<PatchId>,
    /// Ascending by old function.
    pub(crate) stacks: Vec<Stack>,
    pub(crate) transition: Option<Transition>,
    /// The number of the last transition.
    pub(crate) last: u64,
    pub(crate) leaving: Vec<Code>,
}

impl Default for Patches {
    fn default() -> Self {
        Self::new()
    }
}

/// Patches come and go.
impl Patches {
    /// No patch.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            patches: Vec::new(),
            stacks: Vec::new(),
            transition: None,
            last: 0,
            leaving: Vec::new(),
        }
    }

    /// Gives back the memory of what has gone.
    pub fn shrink_to_fit(&mut self) {
        self.patches.shrink_to_fit();
        self.stacks.shrink_to_fit();
        self.leaving.shrink_to_fit();
    }

    /// Starts the transition that brings a patch, as the newest replacement of
    /// its functions. With `replace`, it takes the place of all earlier patches.
    /// Returns the transition's number.
    ///
    /// # Errors
    /// If a transition runs, the patch is enabled already, or its functions are
    /// not distinct and replaced by others.
    pub fn enable(
        &mut self,
        patch: PatchId,
        functions: &[Function],
        replace: bool,
    ) -> Result<u64, ModelError> {
        self.must_be_idle()?;
        if self.patches.contains(&patch) {
            return Err(ModelError::Enabled(patch));
        }
        self.check(patch, functions)?;
        self.patches.push(patch);
        let number = self.start(patch, Direction::Enable, replace);
        self.place(patch, functions);
        Ok(number)
    }

    /// Starts the transition that takes a patch away, be it the newest or not.
    /// Returns the transition's number.
    ///
    /// # Errors
    /// If a transition runs, or the patch is not enabled.
    pub fn disable(&mut self, patch: PatchId) -> Result<u64, ModelError> {
        self.must_be_idle()?;
        if !self.patches.contains(&patch) {
            return Err(ModelError::NotEnabled(patch));
        }
        let number = self.start(patch, Direction::Disable, false);
        self.update_leaving();
        Ok(number)
    }

    /// Reverses the running transition: threads that have switched must go back. A
    /// second time: threads that have gone back must switch again.
    ///
    /// # Errors
    /// If no transition runs.
    pub fn reverse(&mut self) -> Result<(), ModelError> {
        let transition = self.transition.as_mut().ok_or(ModelError::NoTransition)?;
        transition.reversed = !transition.reversed;
        self.update_leaving();
        Ok(())
    }

    /// Notes that the driver switches threads wherever they are. Does nothing if
    /// no transition runs.
    pub fn force(&mut self) {
        if let Some(transition) = &mut self.transition {
            transition.forced = true;
        }
    }

    /// Ends the transition. The driver says so when all threads have switched.
    ///
    /// # Errors
    /// If no transition runs.
    pub fn complete(&mut self) -> Result<Completed, ModelError> {
        let transition = self.transition.take().ok_or(ModelError::NoTransition)?;
        let enabled = transition.ends_enabled();
        let mut removed = Vec::new();
        self.patches.retain(|&patch| {
            let is_its_own = patch == transition.patch;
            let stays = enabled && (is_its_own || !transition.replaces);
            let stays = stays || (!enabled && !is_its_own);
            if !stays {
                removed.push(patch);
            }
            stays
        });
        let mut released = Vec::new();
        self.stacks.retain_mut(|stack| {
            let old = stack.old;
            // An entry that puts the original back is no longer needed: either
            // the replaced patches are gone, or its own is.
            stack
                .entries
                .retain(|entry| entry.new != old && !removed.contains(&entry.patch));
            let stays = !stack.entries.is_empty();
            if !stays {
                released.push(old);
            }
            stays
        });
        self.update_leaving();
        Ok(Completed {
            transition,
            removed,
            released,
            forced: transition.forced,
        })
    }
}

/// Modules come and go.
impl Patches {
    /// A patch's further functions, when the module that they are in has
    /// arrived, and before any thread can call them. They join the patch's place in
    /// each stack, and its motion. The order among patches does not matter.
    ///
    /// # Errors
    /// If the patch is neither enabled nor in transition, has one of the functions
    /// already, or names one twice or as its own replacement.
    pub fn add_functions(
        &mut self,
        patch: PatchId,
        functions: &[Function],
    ) -> Result<(), ModelError> {
        if !self.patches.contains(&patch) {
            return Err(ModelError::NotEnabled(patch));
        }
        self.check(patch, functions)?;
        self.place(patch, functions);
        Ok(())
    }

    /// Functions of a module that goes away, when no thread can be in one nor in its
    /// replacement; `gone` is asked for the old ones. Every patch forgets them.
    /// Returns those that were known, ascending.
    pub fn remove_functions(&mut self, gone: impl Fn(Code) -> bool) -> Vec<Code> {
        let mut removed = Vec::new();
        self.stacks.retain(|stack| {
            let goes = gone(stack.old);
            if goes {
                removed.push(stack.old);
            }
            !goes
        });
        self.update_leaving();
        removed
    }
}

impl Patches {
    fn must_be_idle(&self) -> Result<(), ModelError> {
        match &self.transition {
            Some(t) => Err(ModelError::TransitionRuns { patch: t.patch }),
            None => Ok(()),
        }
    }

    /// Whether the patch may have these functions on top of those it has.
    fn check(&self, patch: PatchId, functions: &[Function]) -> Result<(), ModelError> {
        if let Some(f) = functions.iter().find(|f| f.old == f.new) {
            return Err(ModelError::Itself { old: f.old });
        }
        let mut olds: Vec<Code> = functions.iter().map(|f| f.old).collect();
        olds.extend(self.functions_of(patch).map(|f| f.old));
        olds.sort_unstable();
        match olds.array_windows().find(|[one, next]| one == next) {
            Some(&[old, _]) => Err(ModelError::FunctionTwice { old }),
            None => Ok(()),
        }
    }

    fn start(&mut self, patch: PatchId, direction: Direction, replaces: bool) -> u64 {
        self.last += 1;
        self.transition = Some(Transition {
            number: self.last,
            patch,
            direction,
            replaces,
            reversed: false,
            forced: false,
        });
        self.last
    }

    /// Puts functions at the patch's place in their stacks.
    fn place(&mut self, patch: PatchId, functions: &[Function]) {
        for &Function { old, new } in functions {
            let at = self.find(old).unwrap_or_else(|at| {
                let entries = SmallVec::new();
                self.stacks.insert(at, Stack { old, entries });
                at
            });
            let stack = &mut self.stacks[at];
            if let Some(position) = stack.position(patch) {
                // It only put the original back until now.
                stack.entries[position].new = new;
            } else {
                let mut earlier = self.patches.iter().take_while(|&&p| p != patch);
                let is_earlier = |entry: &Entry| earlier.any(|&p| p == entry.patch);
                let position = stack.entries.iter().copied().take_while(is_earlier).count();
                stack.entries.insert(position, Entry { patch, new });
            }
        }
        self.put_originals_back();
        self.update_leaving();
    }

    /// Has a patch that takes the place of all others put back the original of
    /// each function that it does not replace.
    fn put_originals_back(&mut self) {
        let Some(Transition { patch, .. }) = self.transition.filter(|t| t.replaces) else {
            return;
        };
        for stack in &mut self.stacks {
            if stack.position(patch).is_none() {
                // On top: while its transition runs, there is no newer patch.
                let new = stack.old;
                stack.entries.push(Entry { patch, new });
            }
        }
    }

    fn update_leaving(&mut self) {
        match &self.transition {
            Some(transition) => leaving::collect(&mut self.leaving, &self.stacks, transition),
            None => self.leaving.clear(),
        }
    }

    /// Where the function's stack is, or where it would be.
    pub(crate) fn find(&self, old: Code) -> Result<usize, usize> {
        self.stacks.binary_search_by_key(&old, |stack| stack.old)
    }
}
