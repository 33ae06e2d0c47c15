//! Errors of live patching.

use alloc::{string::String, vec::Vec};
use consistency::ModelError;
use core::fmt;
use ftrace::FtraceError;
use klp::Convention;
use machine::symbols::Place;

/// Why a patch was not enabled, disabled, reversed or forced. Nothing has changed
/// then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LivepatchError {
    /// Another transition runs.
    Busy {
        /// The patch that it is about.
        patch: String,
    },
    /// A callback of a patch asks for what only happens after it.
    FromCallback,
    /// There is no enabled patch of this name.
    NotEnabled(String),
    /// The patch is enabled already.
    Enabled(String),
    /// The module replaces nothing and has no callbacks.
    NothingToDo(String),
    /// No transition runs.
    NoTransition,
    /// The module's functions follow another return convention.
    Convention {
        /// The module.
        module: String,
        /// What they follow.
        found: Convention,
        /// What the variant in use asks for.
        expected: Convention,
        /// The variant.
        variant: &'static str,
    },
    /// The module was relocated against another TOC than the variant in use asks for.
    Toc {
        /// The module.
        module: String,
        /// The variant.
        variant: &'static str,
    },
    /// The variant in use hands over calls of the kernel's functions alone.
    NoModules {
        /// The module whose function was to be replaced.
        module: String,
        /// The variant.
        variant: &'static str,
    },
    /// A function of a module that is loaded does not exist.
    NoFunction {
        /// The module.
        module: String,
        /// The function's path.
        path: String,
        /// More about it.
        reason: String,
    },
    /// A function of a module is a replacement function itself.
    Replacement {
        /// The patch that was to replace it.
        patch: String,
        /// The function's path.
        path: String,
        /// The functions that it is for, by path.
        originals: Vec<String>,
    },
    /// A function has no site that could be diverted.
    NoSite {
        /// Its global entry.
        function: u64,
    },
    /// The size of a function is not known, of one that is replaced or of one that
    /// replaces it.
    NoSize {
        /// Its path.
        function: String,
    },
    /// A callback before patching has refused.
    PrePatch {
        /// The object.
        object: String,
        /// What it returned.
        code: i32,
    },
    /// An earlier patch has changed a system state that this one does not know, or
    /// knows in an older version.
    State {
        /// The earlier patch.
        patch: String,
        /// The state.
        id: u32,
        /// The earlier patch's version.
        has: u32,
        /// This one's, if it knows the state.
        found: Option<u32>,
    },
    /// A module could not be loaded or unloaded.
    Module(String),
    /// Tracing refuses.
    Ftrace(FtraceError),
    /// The model refuses.
    Model(ModelError),
}

impl fmt::Display for LivepatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { patch } => write!(f, "a transition of patch `{patch}` is running"),
            Self::FromCallback => f.write_str("a callback can't change patches"),
            Self::NotEnabled(name) => write!(f, "patch `{name}` is not enabled"),
            Self::Enabled(name) => write!(f, "patch `{name}` is enabled already"),
            Self::NothingToDo(name) => {
                write!(f, "module `{name}` is no patch: it replaces nothing")
            }
            Self::NoTransition => f.write_str("no transition is running"),
            Self::Convention {
                module,
                found,
                expected,
                variant,
            } => write!(
                f,
                "patch `{module}` follows the return convention `{}`; variant `{variant}` asks for `{}`",
                found.name(),
                expected.name()
            ),
            Self::Toc { module, variant } => write!(
                f,
                "module `{module}` was loaded with another TOC than variant `{variant}` asks for"
            ),
            Self::NoModules { module, variant } => write!(
                f,
                "functions of module `{module}` can't be replaced: variant `{variant}` hands over the kernel's alone"
            ),
            Self::NoFunction {
                module,
                path,
                reason,
            } => write!(f, "module `{module}` has no function `{path}`: {reason}"),
            Self::Replacement {
                patch,
                path,
                originals,
            } => {
                write!(
                    f,
                    "patch `{patch}` can't replace `{path}`, which is a replacement function itself"
                )?;
                for (index, original) in originals.iter().enumerate() {
                    let before = if index == 0 { ": replace" } else { " and" };
                    write!(f, "{before} `{original}`")?;
                }
                f.write_str(if originals.is_empty() { "" } else { " instead" })
            }
            Self::NoSite { function } => {
                write!(f, "{} can't be patched: it has no site", Place(*function))
            }
            Self::NoSize { function } => write!(
                f,
                "the size of {function} is not known, so whether a thread is in it is not either; in assembly, `.size` gives it"
            ),
            Self::PrePatch { object, code } => {
                write!(
                    f,
                    "pre-patch callback failed for object '{object}' with {code}"
                )
            }
            Self::State {
                patch,
                id,
                has,
                found: Some(found),
            } => write!(
                f,
                "system state {id} is at version {has} by patch `{patch}`, and this one has version {found}"
            ),
            Self::State { patch, id, has, .. } => write!(
                f,
                "patch `{patch}` has changed system state {id} (version {has}), which this one does not know"
            ),
            Self::Module(reason) => f.write_str(reason),
            Self::Ftrace(error) => error.fmt(f),
            Self::Model(refused) => refused.fmt(f),
        }
    }
}

impl From<ModelError> for LivepatchError {
    fn from(refused: ModelError) -> Self {
        Self::Model(refused)
    }
}
