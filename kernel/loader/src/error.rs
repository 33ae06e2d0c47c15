//! Why a module was refused.

use alloc::{collections::TryReserveError, string::String};
use core::fmt;
use ftrace::FtraceError;
use klp::{Convention, info::BUILD_ID_BYTES};
use machine::{mm::code::OutOfCodeMemory, symbols::AddError};
use modload::LoadError;
use symtab::{EncodeError, ParseError};

/// Why a module was not loaded, or not unloaded. On error, nothing has changed.
#[derive(Debug)]
pub enum ModuleError<'a> {
    /// The file is not a module, or can't be placed.
    File(LoadError<'a>),
    /// It has no descriptor.
    NoDescriptor,
    /// Its descriptor is not of this format's size.
    DescriptorSize {
        /// Bytes in the section.
        found: u64,
        /// Bytes that a descriptor has.
        expected: u64,
    },
    /// Its symbols make no table.
    Symbols(ParseError),
    /// No table of its symbols was written.
    SymbolTable(EncodeError),
    /// Its descriptor is of another format or version.
    Magic {
        /// The word found.
        found: u64,
    },
    /// A text in the descriptor is not in the module, or not UTF-8.
    BadText {
        /// Where it should be.
        address: u64,
        /// How long.
        length: u64,
    },
    /// A table of the descriptor's is not in the module.
    BadTable {
        /// Of what.
        what: &'static str,
        /// Where it should be.
        address: u64,
    },
    /// A table of the descriptor's is longer than it may be.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        most: u64,
    },
    /// A provided function is not code of the module.
    BadProvided {
        /// Where it should be.
        address: u64,
    },
    /// It was built for another kernel.
    BuildId {
        /// The module's name.
        name: String,
        /// The build id that it is for.
        found: [u8; BUILD_ID_BYTES],
        /// This kernel's.
        expected: [u8; BUILD_ID_BYTES],
    },
    /// Its functions follow another return convention.
    Convention {
        /// The module's name.
        name: String,
        /// The number of its convention.
        found: u32,
        /// The convention that is in use.
        expected: Convention,
    },
    /// It has unknown flags.
    Flags {
        /// All of its flags.
        found: u32,
    },
    /// A relocation has changed its flags, by which its TOC was chosen.
    RelocatedFlags {
        /// As they are in the file.
        file: u32,
        /// As they are in memory.
        found: u32,
    },
    /// It keeps the kernel's TOC, and follows another convention than the one for that.
    NotPlain {
        /// The module's name.
        name: String,
        /// The number of its convention.
        found: u32,
    },
    /// It keeps the kernel's TOC, and is to be loaded out of its reach.
    FarFromToc,
    /// It claims a return convention, or with the convention `plain` to keep the kernel's TOC,
    /// and its code is not what was proved.
    NotProved {
        /// The module's name.
        name: String,
        /// The convention.
        convention: Convention,
    },
    /// Its code has instructions that this processor lacks.
    Processor {
        /// The module's name.
        name: String,
        /// The processor's version, the upper half of PVR.
        found: u32,
    },
    /// What its descriptor says beside its identity is refused.
    Carried {
        /// Why, in the words of the crate that has read it.
        reason: String,
    },
    /// Its patchable functions are not as recorded, or their sites could not be brought
    /// to rest or registered.
    Sites {
        /// What is wrong, with names that the module's symbols gave.
        reason: String,
    },
    /// Its sites could not be given up.
    Ftrace(FtraceError),
    /// Its file is named after another module.
    Misnamed {
        /// The name that the file gives it.
        file: &'a str,
        /// Its name, from its descriptor.
        name: String,
    },
    /// A module of this name is loaded.
    Loaded(String),
    /// No module of this name is loaded.
    NotLoaded(&'a str),
    /// References to it are still held.
    InUse(&'a str),
    /// A patch that is enabled can't be applied to it.
    NotWanted {
        /// The module's name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Its code is being run.
    Running(&'a str),
    /// No code memory.
    OutOfCodeMemory(OutOfCodeMemory),
    /// No memory.
    OutOfMemory,
}

/// A build id as it is usually written.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The name of the convention with a number.
fn name_of(convention: u32) -> &'static str {
    Convention::from_number(convention).map_or("unknown", Convention::name)
}

impl fmt::Display for ModuleError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::NoDescriptor => {
                write!(f, "no section `{}`: not a patch module", klp::info::SECTION)
            }
            Self::DescriptorSize { found, expected } => {
                write!(f, "the descriptor has {found} bytes instead of {expected}")
            }
            Self::Magic { found } => {
                write!(
                    f,
                    "the descriptor begins with {found:#018x} instead of {:#018x}",
                    klp::info::MAGIC
                )
            }
            Self::BadText { address, length } => write!(
                f,
                "the descriptor's text of {length} bytes at {address:#x} is not in the module, or not UTF-8"
            ),
            Self::BadTable { what, address } => {
                write!(
                    f,
                    "the descriptor's table of {what} at {address:#x} is not in the module"
                )
            }
            Self::TooMany { what, found, most } => {
                write!(
                    f,
                    "the descriptor lists {found} {what}, and {most} are the most"
                )
            }
            Self::BadProvided { address } => {
                write!(
                    f,
                    "the provided function at {address:#x} is not code of the module"
                )
            }
            Self::BuildId {
                name,
                found,
                expected,
            } => write!(
                f,
                "module `{name}` is for the kernel with build id {}, this one is {}",
                Hex(found),
                Hex(expected)
            ),
            Self::Convention {
                name,
                found,
                expected,
            } => {
                write!(
                    f,
                    "module `{name}` follows return convention {found} ({}), the hand-off asks for {}",
                    name_of(*found),
                    expected.name()
                )
            }
            Self::Flags { found } => write!(
                f,
                "the descriptor's flags are {found:#x}, of which only {:#x} are known",
                klp::info::FLAGS
            ),
            Self::RelocatedFlags { file, found } => write!(
                f,
                "the descriptor's flags are {found:#x} after relocation, expected {file:#x} as in the file"
            ),
            Self::NotPlain { name, found } => write!(
                f,
                "module `{name}` keeps the kernel's TOC, so it must follow return convention {} \
                 ({}), and follows {found} ({})",
                Convention::Plain as u32,
                Convention::Plain.name(),
                name_of(*found)
            ),
            Self::FarFromToc => f.write_str(
                "a module that keeps the kernel's TOC must lie within 2 GiB of it, and can't be loaded far away",
            ),
            Self::NotProved {
                name,
                convention: Convention::Plain,
            } => write!(
                f,
                "module `{name}` claims to keep the kernel's TOC, and its code was not proved to: \
                 the build proves a module of `patches`, and seals its code"
            ),
            Self::NotProved { name, convention } => write!(
                f,
                "module `{name}` claims the return convention `{}`, and its code was not proved to \
                 keep it: the build proves a module of `patches`, and seals its code",
                convention.name()
            ),
            Self::Processor { name, found } => write!(
                f,
                "module `{name}` is PC-relative, which takes a POWER10; this processor's version is {found:#x}"
            ),
            Self::Carried { reason } | Self::Sites { reason } => f.write_str(reason),
            Self::Ftrace(error) => error.fmt(f),
            Self::Misnamed { file, name } => write!(
                f,
                "the file `{file}.ko` holds a module `{}`, expected one of the file's name",
                name.escape_default()
            ),
            Self::Loaded(name) => write!(f, "a module `{name}` is loaded already"),
            Self::NotLoaded(name) => write!(f, "no module `{}` is loaded", name.escape_default()),
            Self::InUse(name) => write!(f, "module `{name}` is in use"),
            Self::NotWanted { name, reason } => {
                write!(f, "module `{name}` is not wanted: {reason}")
            }
            Self::Running(name) => write!(f, "code of module `{name}` is running"),
            Self::OutOfCodeMemory(error) => error.fmt(f),
            Self::OutOfMemory => f.write_str("no memory"),
            Self::Symbols(error) => error.fmt(f),
            Self::SymbolTable(error) => error.fmt(f),
        }
    }
}

impl From<TryReserveError> for ModuleError<'_> {
    fn from(_: TryReserveError) -> Self {
        Self::OutOfMemory
    }
}

impl From<EncodeError> for ModuleError<'_> {
    fn from(error: EncodeError) -> Self {
        Self::SymbolTable(error)
    }
}

impl From<AddError> for ModuleError<'_> {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Table(error) => Self::Symbols(error),
            AddError::OutOfMemory => Self::OutOfMemory,
        }
    }
}

impl From<OutOfCodeMemory> for ModuleError<'_> {
    fn from(error: OutOfCodeMemory) -> Self {
        Self::OutOfCodeMemory(error)
    }
}
