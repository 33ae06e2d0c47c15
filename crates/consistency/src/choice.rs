use core::fmt;

/// A function's global entry address (ELFv2), opaque to the model.
pub type Code = u64;

/// What identifies a patch; chosen by the driver.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PatchId(pub u32);

impl fmt::Display for PatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "patch {}", self.0)
    }
}

/// One function of a patch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Function {
    /// The original.
    pub old: Code,
    /// What the patch puts in its place. Several functions and several patches
    /// may share it.
    pub new: Code,
}

/// A thread's patch state: the number of the last transition that it switched
/// to the new side of, or 0. New threads inherit their parent's.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PatchState(pub u64);

impl PatchState {
    /// Whether a thread in this state is on the new side of the transition of a number. The
    /// one rule of sides: for threads that switch, and for each call of a patched function.
    #[inline]
    #[must_use]
    pub const fn is_of(self, transition: u64) -> bool {
        self.0 == transition
    }
}

/// Whether the newest replacement of a function is on its way in or out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Motion {
    /// Neither: all threads call the same code.
    Still = 0,
    /// In: its patch is being enabled.
    Coming = 1,
    /// Out: its patch is being disabled.
    Going = 2,
}

/// All that a call of a patched function needs to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Choice {
    /// The newest version. It is the original where a patch in transition puts
    /// that back.
    pub newest: Code,
    /// The version before that, maybe the original. The same as `newest` if
    /// nothing moves.
    pub older: Code,
    /// Which threads get which of the two.
    pub motion: Motion,
}

impl Choice {
    /// The code for a thread that is on the new side of the running transition
    /// ([`crate::Patches::is_on_new_side`]), or that is not.
    #[inline(always)]
    #[must_use]
    pub const fn of(self, switched: bool) -> Code {
        match (self.motion, switched) {
            (Motion::Still, _) | (Motion::Coming, true) | (Motion::Going, false) => self.newest,
            (Motion::Coming, false) | (Motion::Going, true) => self.older,
        }
    }
}
