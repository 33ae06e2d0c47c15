//! Why debug information can't be read.

use std::fmt;

/// What is wrong with an object's debug information, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The file is no ELF object, or one of its tables is damaged.
    Object(object::Error),
    /// The object has no section `.debug_info`: it was compiled without `debug`.
    None,
    /// A relocation of a debug section is none that debug information has.
    Relocation {
        /// The name of the section.
        section: &'static str,
        /// Where in the section, in bytes from its start.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An entry, a range list or a line program is damaged.
    Dwarf {
        /// The name of the section.
        section: &'static str,
        /// The start of the unit, in bytes from the start of `.debug_info`.
        unit: usize,
        /// What gimli found.
        what: gimli::Error,
    },
    /// The object describes more than it has bytes for: a name, a list or a table is read
    /// again and again. No compiler writes that.
    Repeats,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(error) => write!(f, "not an object: {error}"),
            Self::None => f.write_str("the object has no debug information"),
            Self::Relocation {
                section,
                offset,
                what,
            } => write!(f, "the relocation of {section} at {offset:#x} {what}"),
            Self::Dwarf {
                section,
                unit,
                what,
            } => write!(f, "{section} of the unit at {unit:#x} is damaged: {what}"),
            Self::Repeats => f.write_str(
                "the debug information is damaged: the same bytes are read again and again",
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Object(error) => Some(error),
            Self::Dwarf { what, .. } => Some(what),
            _ => None,
        }
    }
}

/// What may still be read, in bytes and entries.
///
/// Offsets in debug information can point anywhere, so a few damaged bytes can ask for the
/// same list a million times. The allowance is a multiple of the object's size: it grows
/// with what a compiler wrote.
#[derive(Default)]
pub(crate) struct Allowance(usize);

impl Allowance {
    /// For debug sections of `bytes` in all. A kernel crate's names, all written out, take
    /// 2 to 4 times as many.
    pub fn new(bytes: usize) -> Self {
        Self(bytes.saturating_mul(64).saturating_add(1 << 20))
    }

    /// Takes a number of bytes or entries.
    pub fn take(&mut self, amount: usize) -> Result<(), Error> {
        self.0 = self.0.checked_sub(amount).ok_or(Error::Repeats)?;
        Ok(())
    }
}
