//! What can be wrong with one section or symbol.

use crate::layout::MAX_ALIGN;
use crate::strings::MAX_NAME;
use core::fmt;

/// What is wrong with a section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SectionError {
    /// Its name is not in the table of names.
    Name {
        /// Where the name should be.
        offset: u32,
    },
    /// It is to be loaded, and of a type that can't be.
    Type {
        /// `sh_type`.
        found: u32,
    },
    /// Another section refers to it as a table of names, and it is none.
    NotStrings {
        /// `sh_type`.
        found: u32,
    },
    /// It is a table of names, and a bad one.
    Strings(StringsError),
    /// Its relocations are not of the one form that the ABI uses.
    RelocationForm {
        /// `sh_type`.
        found: u32,
    },
    /// Its alignment is not a power of two, or too large.
    Alignment {
        /// `sh_addralign`.
        found: u64,
    },
    /// Its entries are of another size.
    EntrySize {
        /// `sh_entsize`.
        found: u64,
    },
    /// Its size is not that of a whole number of entries.
    Size {
        /// `sh_size`.
        found: u64,
    },
    /// It refers to a section that does not exist, or is of no use to it.
    Link {
        /// `sh_link`.
        found: u32,
    },
    /// It holds relocations of a section that does not exist.
    Target {
        /// `sh_info`.
        found: u32,
    },
    /// It holds relocations of a section that has no bytes in the file.
    NoBytes {
        /// That section's number.
        target: u32,
    },
    /// It is to be loaded, and compressed.
    Compressed,
    /// It is to be loaded, once for each thread.
    ThreadLocal,
    /// It names functions to be run at load or unload, which the kernel never does.
    Constructors,
}

/// What is wrong with a table of names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StringsError {
    /// It does not start or end with a zero byte.
    NotTerminated,
    /// It is not UTF-8.
    NotUtf8 {
        /// Up to where it is.
        offset: usize,
    },
    /// A name is longer than [`MAX_NAME`].
    TooLong {
        /// Where the name goes on for more than that.
        offset: usize,
    },
}

/// What is wrong with a symbol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SymbolError {
    /// Its name is not in the table of names.
    Name {
        /// Where the name should be.
        offset: u32,
    },
    /// It is in a section that does not exist.
    Section {
        /// `st_shndx`.
        found: u16,
    },
    /// It ends behind its section.
    Outside {
        /// Bytes from the section's start to the symbol.
        value: u64,
        /// Its size, or the bytes up to its local entry point if those are more.
        size: u64,
        /// The section's size.
        section: u64,
    },
    /// The compiler left its place to the linker.
    Common,
    /// Its local-entry value is reserved.
    LocalEntry,
    /// A relocation needs its address, and its section is not loaded.
    NotLoaded,
    /// A relocation needs its address, and every thread has another one.
    ThreadLocal,
    /// A relocation needs its address, which a function is to be asked for.
    Indirect,
}

impl fmt::Display for SectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Name { offset } => {
                write!(f, "its name is not in the table of names, at {offset:#x}")
            }
            Self::Type { found } => write!(f, "a section of type {found:#x} can't be loaded"),
            Self::NotStrings { found } => {
                write!(f, "type {found:#x}, expected a table of names (0x3)")
            }
            Self::Strings(problem) => write!(f, "table of names: {problem}"),
            Self::RelocationForm { found } => {
                write!(f, "relocations of type {found:#x}, expected rela (0x4)")
            }
            Self::Alignment { found } => write!(
                f,
                "alignment {found:#x}, expected a power of two up to {MAX_ALIGN:#x}"
            ),
            Self::EntrySize { found } => write!(f, "entries of {found} bytes, expected 24"),
            Self::Size { found } => write!(f, "{found} bytes are no whole number of entries"),
            Self::Link { found } => {
                write!(
                    f,
                    "it refers to section {found}, which is not what it needs"
                )
            }
            Self::Target { found } => {
                write!(f, "it relocates section {found}, which does not exist")
            }
            Self::NoBytes { target } => write!(
                f,
                "it relocates section {target}, which has no bytes in the file"
            ),
            Self::Compressed => f.write_str("compressed, which is not supported"),
            Self::ThreadLocal => f.write_str("thread-local, which is not supported"),
            Self::Constructors => {
                f.write_str("constructors or destructors, which the kernel would never run")
            }
        }
    }
}

impl fmt::Display for StringsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotTerminated => f.write_str("expected a zero byte at either end"),
            Self::NotUtf8 { offset } => write!(f, "not in utf-8 at offset {offset:#x}"),
            Self::TooLong { offset } => write!(
                f,
                "a name is longer than {MAX_NAME} bytes at offset {offset:#x}"
            ),
        }
    }
}

impl fmt::Display for SymbolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Name { offset } => {
                write!(f, "its name is not in the table of names, at {offset:#x}")
            }
            Self::Section { found } => {
                write!(f, "it is in section {found:#x}, which does not exist")
            }
            Self::Outside {
                value,
                size,
                section,
            } => write!(
                f,
                "{size:#x} bytes at offset {value:#x} of a section of {section:#x} bytes"
            ),
            Self::Common => f.write_str("common, and only a linker finds it a place"),
            Self::LocalEntry => f.write_str("local-entry value 7, which is reserved"),
            Self::NotLoaded => f.write_str("needed, but its section is not loaded"),
            Self::ThreadLocal => f.write_str("thread-local, which is not supported"),
            Self::Indirect => f.write_str("an indirect function, which is not supported"),
        }
    }
}
