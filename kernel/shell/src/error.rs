//! Why a command has not done what it was asked.

use alloc::string::{String, ToString};
use core::fmt;

/// Why. Each is told in a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CommandError {
    /// Too few or too many arguments.
    Usage,
    /// An argument is not what it should be.
    Expected {
        /// What it should be.
        what: String,
        /// What it is.
        found: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// The kernel refuses, or it can't be done now.
    Refused(String),
    /// ^C.
    Interrupted,
}

/// What a command comes to.
pub type Outcome = Result<(), CommandError>;

impl CommandError {
    /// An argument is not what it should be.
    pub fn expected(what: impl fmt::Display, found: &str) -> Self {
        Self::Expected {
            what: what.to_string(),
            found: found.into(),
            near: None,
        }
    }

    /// The same, and what may have been meant.
    pub fn expected_near(what: impl fmt::Display, found: &str, near: Option<String>) -> Self {
        Self::Expected {
            what: what.to_string(),
            found: found.into(),
            near,
        }
    }

    /// The kernel refuses.
    pub fn refused(why: impl fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage => f.write_str("wrong number of arguments"),
            Self::Expected { what, found, near } => {
                write!(f, "expected {what}, found `{found}`")?;
                match near {
                    Some(near) => write!(f, "; did you mean `{near}`?"),
                    None => Ok(()),
                }
            }
            Self::Refused(why) => f.write_str(why),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// Writing fails when ^C was typed, and for no other reason; see `output`.
impl From<fmt::Error> for CommandError {
    fn from(_: fmt::Error) -> Self {
        Self::Interrupted
    }
}
