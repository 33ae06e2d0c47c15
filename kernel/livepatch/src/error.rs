//! Errors of live patching.

use alloc::{format, string::String, vec::Vec};
use consistency::ModelError;
use core::fmt;
use ftrace::FtraceError;
use klp::Convention;
use loader::ModuleError;
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

/// Why what a module's descriptor says about a patch was refused.
#[derive(Debug)]
pub enum DescriptorError {
    /// A text or a table is not in the module, or there is no memory for what it says.
    Memory(ModuleError<'static>),
    /// It keeps the kernel's TOC, and replaces a function of a module's, whose callers have
    /// another one.
    OtherToc {
        /// The old function's path.
        path: String,
        /// The module that it belongs to.
        module: String,
    },
    /// A new function is not code of the module.
    BadFunction {
        /// The old function's path.
        path: String,
        /// Where the new one should be.
        address: u64,
    },
    /// A callback is not code of the module.
    BadCallback {
        /// The module that it is about; none for the kernel.
        object: Option<String>,
        /// Which callback.
        callback: &'static str,
        /// Where it should be.
        address: u64,
    },
    /// A system state is not in the module, or not aligned.
    BadState {
        /// Where it should be.
        address: u64,
    },
    /// Two of its system states have one id.
    SameState {
        /// The id.
        id: u32,
    },
    /// It patches an object twice.
    SameObject {
        /// The module that it patches; none for the kernel.
        object: Option<String>,
    },
    /// It replaces a function twice.
    SameFunction {
        /// The old function's path, the second time.
        path: String,
        /// The module that it belongs to; none for the kernel.
        object: Option<String>,
    },
    /// An old function is unknown or ambiguous.
    OldFunction {
        /// Which, and the candidates.
        reason: String,
    },
}

/// What a module patches.
struct ObjectName<'a>(&'a Option<String>);

impl fmt::Display for ObjectName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("the kernel"),
            Some(name) => write!(f, "module `{name}`"),
        }
    }
}

impl fmt::Display for DescriptorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => error.fmt(f),
            Self::OtherToc { path, module } => write!(
                f,
                "a module that keeps the kernel's TOC can't replace `{path}` of module `{module}`: callers there have that module's TOC"
            ),
            Self::BadFunction { path, address } => write!(
                f,
                "the new function for `{path}` at {address:#x} is not code of the module"
            ),
            Self::BadCallback {
                object,
                callback,
                address,
            } => write!(
                f,
                "the callback {callback} for {} at {address:#x} is not code of the module",
                ObjectName(object)
            ),
            Self::BadState { address } => write!(
                f,
                "the state at {address:#x} is not in the module, or not at a multiple of 8"
            ),
            Self::SameState { id } => write!(f, "two states have the id {id}"),
            Self::SameObject { object } => {
                write!(f, "{} is listed twice as an object", ObjectName(object))
            }
            Self::SameFunction { path, object } => write!(
                f,
                "`{path}` of {} is replaced a second time",
                ObjectName(object)
            ),
            Self::OldFunction { reason } => write!(f, "old function: {reason}"),
        }
    }
}

impl From<ModuleError<'static>> for DescriptorError {
    fn from(error: ModuleError<'static>) -> Self {
        Self::Memory(error)
    }
}

impl From<DescriptorError> for ModuleError<'_> {
    fn from(error: DescriptorError) -> Self {
        match error {
            DescriptorError::Memory(error) => error,
            other => Self::Carried {
                reason: format!("{other}"),
            },
        }
    }
}
