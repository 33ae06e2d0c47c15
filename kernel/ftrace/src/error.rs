//! Errors of tracing.

use super::{sets::OPS_ON_A_SITE, trampoline::TrampolineError};
use alloc::collections::TryReserveError;
use core::fmt;
use machine::{symbols::Place, text::TextError};

/// Why nothing was attached, detached or switched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FtraceError {
    /// The ops is registered already.
    Registered(&'static str),
    /// The ops is not registered.
    NotRegistered(&'static str),
    /// The filter admits no function.
    NoFunction,
    /// Another ops may change where this function's calls go.
    NipTaken {
        /// The function's global entry.
        function: u64,
        /// The ops that has it.
        holder: &'static str,
    },
    /// A site has as many ops as it can have.
    SiteFull {
        /// The function's global entry.
        function: u64,
    },
    /// Tracing is off, and this ops depends on it.
    Off(&'static str),
    /// Tracing can't be turned off while this ops is registered.
    Needed(&'static str),
    /// No memory for the bookkeeping.
    OutOfMemory,
    /// A trampoline could not be made.
    Trampoline(TrampolineError),
    /// The sites could not be written.
    Text(TextError),
}

impl fmt::Display for FtraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered(name) => write!(f, "ops `{name}` is registered already"),
            Self::NotRegistered(name) => write!(f, "ops `{name}` is not registered"),
            Self::NoFunction => f.write_str("the filter admits no function that can be traced"),
            Self::NipTaken { function, holder } => {
                write!(
                    f,
                    "ops `{holder}` already decides where calls of {} go",
                    Place(*function)
                )
            }
            Self::SiteFull { function } => {
                write!(
                    f,
                    "{} has {OPS_ON_A_SITE} ops, which is all it can have",
                    Place(*function)
                )
            }
            Self::Off(name) => write!(f, "ops `{name}` needs tracing, which is turned off"),
            Self::Needed(name) => {
                write!(f, "tracing can't be turned off: ops `{name}` depends on it")
            }
            Self::OutOfMemory => f.write_str("no memory"),
            Self::Trampoline(error) => error.fmt(f),
            Self::Text(error) => error.fmt(f),
        }
    }
}

impl From<TryReserveError> for FtraceError {
    fn from(_: TryReserveError) -> Self {
        Self::OutOfMemory
    }
}
