//! What can go wrong.

use core::{error, fmt};

/// One of the two slices that [`crate::Writer::new`] takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Block {
    /// The one that becomes the blob.
    Structure,
    /// The one for the property names.
    Strings,
}

/// Why something could not be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// A slice is too small, or a number exceeds 32 bits.
    NoSpace {
        /// Which slice.
        block: Block,
        /// How many bytes it would need, to come as far as this.
        needed: usize,
        /// How many it has.
        available: usize,
    },
    /// The tree was to be finished before its root was ended.
    Unbalanced {
        /// How many nodes are open; 0 if there is no root yet.
        open: u32,
    },
    /// A property, or a node's end, that no open node goes with.
    NoOpenNode,
    /// A node beside the root.
    SecondRoot,
    /// A property of a node behind one of its children.
    LateProperty,
    /// A memory reservation behind the first node.
    LateReservation,
    /// A memory reservation of no bytes.
    EmptyReservation {
        /// Where.
        start: u64,
    },
    /// A node's or a property's name that a reader would take for another.
    BadName(NameError),
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NameError {
    /// It holds a NUL, which ends names in the blob.
    Nul,
    /// A node's holds a `/`, which separates names in paths.
    Slash,
    /// It is empty, and not the root's.
    Empty,
    /// It is the root's, and not empty.
    RootNotEmpty,
}

impl NameError {
    /// Checks a node's name; that of the root if `root`.
    pub(crate) fn check_node(name: &str, root: bool) -> Result<(), Error> {
        match (root, name.is_empty()) {
            (true, false) => Err(Error::BadName(Self::RootNotEmpty)),
            (true, true) => Ok(()),
            (false, _) if name.contains('/') => Err(Error::BadName(Self::Slash)),
            (false, _) => Self::check_property(name),
        }
    }

    pub(crate) fn check_property(name: &str) -> Result<(), Error> {
        if name.is_empty() {
            return Err(Error::BadName(Self::Empty));
        }
        if name.contains('\0') {
            return Err(Error::BadName(Self::Nul));
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flattened device tree: ")?;
        f.write_str(match self {
            Self::NoSpace {
                block,
                needed,
                available,
            } => {
                let block = match block {
                    Block::Structure => "structure",
                    Block::Strings => "strings",
                };
                return write!(
                    f,
                    "the {block} block needs at least {needed} bytes, {available} available"
                );
            }
            Self::Unbalanced { open: 0 } => "finished without a root node",
            Self::Unbalanced { open } => {
                return write!(f, "finished with {open} nodes still open");
            }
            Self::NoOpenNode => "no node is open here",
            Self::SecondRoot => "a second root node",
            Self::LateProperty => "a property behind a child of its node",
            Self::LateReservation => "a memory reservation behind the first node",
            Self::EmptyReservation { start } => {
                return write!(f, "memory reservation of 0 bytes at {start:#x}");
            }
            Self::BadName(NameError::Nul) => "a name with a NUL in it",
            Self::BadName(NameError::Slash) => "a node's name with a `/` in it",
            Self::BadName(NameError::Empty) => "an empty name, which only the root may have",
            Self::BadName(NameError::RootNotEmpty) => "a root node whose name is not empty",
        })
    }
}

impl error::Error for Error {}
