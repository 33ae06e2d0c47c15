use crate::{Code, PatchId};
use smallvec::SmallVec;

/// What one patch puts in a function's place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    pub patch: PatchId,
    /// The function itself where a patch that replaces all others puts the
    /// original back.
    pub new: Code,
}

/// All replacements of a function, in the order of the patches, the newest last.
/// There is always one, or the stack is not kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stack {
    pub old: Code,
    /// Most functions have one, which then needs no memory of its own.
    pub entries: SmallVec<[Entry; 1]>,
}

impl Stack {
    /// Where the patch's entry is, counted from the oldest.
    pub fn position(&self, patch: PatchId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.patch == patch)
    }

    /// What the entry at `position` hides: the one below, or the original.
    pub fn below(&self, position: usize) -> Code {
        let below = position.checked_sub(1).and_then(|p| self.entries.get(p));
        below.map_or(self.old, |entry| entry.new)
    }

    /// Whether the entry only puts the original back.
    pub const fn restores(&self, entry: &Entry) -> bool {
        entry.new == self.old
    }
}
