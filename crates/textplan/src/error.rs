use core::{error, fmt};
use memmap::Range;

/// Why a plan may not be carried out. Nothing has been written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlanError {
    /// The addresses of two neighbours in the plan do not ascend.
    Unsorted {
        /// The address of the first.
        before: u64,
        /// The address of the second, below it.
        address: u64,
    },
    /// Two neighbours in the plan change the same word.
    Overlap {
        /// Their address.
        address: u64,
    },
    /// The address is not a multiple of 4.
    Misaligned {
        /// What it is.
        address: u64,
    },
    /// The word is not, or not completely, in a range of code.
    OutsideText {
        /// Its address.
        address: u64,
    },
    /// A byte of the word, or more, is where nothing may change.
    Forbidden {
        /// The word's address.
        address: u64,
        /// What it lies in.
        range: Range,
    },
    /// Another word is there than the plan was made for.
    Mismatch {
        /// Where.
        address: u64,
        /// What is there.
        found: u32,
        /// What the plan says is there.
        expected: u32,
    },
    /// The rules are at fault: two neighbours among their ranges do not ascend.
    UnsortedRules {
        /// The first.
        before: Range,
        /// The second, which starts below it.
        range: Range,
    },
}

impl PlanError {
    /// The address of the word that is at fault; none if the rules are.
    #[must_use]
    pub fn address(&self) -> Option<u64> {
        match *self {
            Self::Unsorted { address, .. }
            | Self::Overlap { address }
            | Self::Misaligned { address }
            | Self::OutsideText { address }
            | Self::Forbidden { address, .. }
            | Self::Mismatch { address, .. } => Some(address),
            Self::UnsortedRules { .. } => None,
        }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unsorted { before, address } => write!(
                f,
                "changes must ascend by address: {address:#x} comes after {before:#x}"
            ),
            Self::Overlap { address } => {
                write!(f, "the word at {address:#x} would be changed twice")
            }
            Self::Misaligned { address } => {
                write!(f, "no instruction at {address:#x}: not a multiple of 4")
            }
            Self::OutsideText { address } => {
                write!(f, "the word at {address:#x} is not in patchable code")
            }
            Self::Forbidden { address, range } => {
                write!(
                    f,
                    "the word at {address:#x} is in {range}: never to be changed"
                )
            }
            Self::Mismatch {
                address,
                found,
                expected,
            } => write!(
                f,
                "the word at {address:#x} is {found:#010x}, expected {expected:#010x}"
            ),
            Self::UnsortedRules { before, range } => write!(
                f,
                "ranges of the rules must ascend by start: {range} comes after {before}"
            ),
        }
    }
}

impl error::Error for PlanError {}

/// A word that was written and is not there when it is read back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unverified {
    /// Where.
    pub address: u64,
    /// What is there.
    pub found: u32,
    /// What was written.
    pub expected: u32,
}

impl Unverified {
    /// Compares a word that was written with what is there.
    ///
    /// # Errors
    /// When they differ.
    #[inline]
    pub fn unless_kept(address: u64, expected: u32, found: u32) -> Result<(), Self> {
        if found == expected {
            Ok(())
        } else {
            Err(Self {
                address,
                found,
                expected,
            })
        }
    }
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            found,
            expected,
        } = self;
        write!(
            f,
            "the word at {address:#x} reads back as {found:#010x}, expected {expected:#010x}"
        )
    }
}

impl error::Error for Unverified {}
