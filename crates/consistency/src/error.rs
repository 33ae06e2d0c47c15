use crate::{Code, PatchId};
use core::{error, fmt};

/// Why something was not done. The model is as it was before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ModelError {
    /// A transition has to complete first.
    TransitionRuns {
        /// The patch that comes or goes.
        patch: PatchId,
    },
    /// The patch to be enabled is enabled already.
    Enabled(PatchId),
    /// No such patch is enabled, nor in transition.
    NotEnabled(PatchId),
    /// No transition is running.
    NoTransition,
    /// The patch replaces one function twice.
    FunctionTwice {
        /// The function.
        old: Code,
    },
    /// The patch names a function as its own replacement.
    Itself {
        /// The function.
        old: Code,
    },
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TransitionRuns { patch } => {
                write!(f, "the transition of {patch} has not completed")
            }
            Self::Enabled(patch) => write!(f, "{patch} is already enabled"),
            Self::NotEnabled(patch) => write!(f, "{patch} is not enabled"),
            Self::NoTransition => write!(f, "no transition is running"),
            Self::FunctionTwice { old } => {
                write!(f, "the patch replaces the function at {old:#x} twice")
            }
            Self::Itself { old } => {
                write!(
                    f,
                    "the patch replaces the function at {old:#x} with that function itself"
                )
            }
        }
    }
}

impl error::Error for ModelError {}
