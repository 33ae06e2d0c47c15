use crate::malformed::{SectionError, SymbolError};

/// A part of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Region<'a> {
    /// The ELF header.
    Header,
    /// The table of section headers.
    SectionTable,
    /// What a section header points at.
    Section {
        /// The section's number.
        index: usize,
        /// Its name; empty if it is not known yet.
        name: &'a str,
    },
}

/// Where a relocation applies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place<'a> {
    /// The section's name.
    pub section: &'a str,
    /// Bytes from the section's start.
    pub offset: u64,
    /// The address in memory.
    pub address: u64,
}

/// Why a module can't be loaded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoadError<'a> {
    /// The file does not start as an ELF file does.
    NotElf {
        /// Its first bytes, at most four.
        found: &'a [u8],
    },
    /// Not a 64-bit file.
    Class {
        /// `EI_CLASS`.
        found: u8,
    },
    /// Not a little-endian file.
    Endian {
        /// `EI_DATA`.
        found: u8,
    },
    /// Not a relocatable file.
    Type {
        /// `e_type`.
        found: u16,
    },
    /// Not for ppc64.
    Machine {
        /// `e_machine`.
        found: u16,
    },
    /// Not for the ELFv2 ABI.
    AbiVersion {
        /// `e_flags`, which hold nothing else.
        found: u32,
    },
    /// The file ends before one of its parts does.
    Truncated {
        /// Which.
        what: Region<'a>,
        /// Where that part ends; at most `u64::MAX`.
        needed: u64,
        /// Where the file ends.
        found: u64,
    },
    /// A section is not as it should be.
    Section {
        /// Its number.
        index: usize,
        /// Its name; empty if it is not known yet.
        name: &'a str,
        /// What is wrong.
        problem: SectionError,
    },
    /// A symbol is not as it should be.
    Symbol {
        /// Its number.
        index: usize,
        /// Its name; empty if it is not known yet.
        name: &'a str,
        /// What is wrong.
        problem: SymbolError,
    },
    /// Two parts share bytes of the file.
    Overlap {
        /// The one that starts first.
        first: Region<'a>,
        /// The other one.
        second: Region<'a>,
    },
    /// A number in the header makes no sense.
    Absurd {
        /// Which number.
        what: &'static str,
        /// What was found.
        found: u64,
        /// What was expected, in words.
        expected: &'static str,
    },
    /// The module needs more memory than a module may.
    TooLarge {
        /// Bytes up to the end of the first part that is too much.
        needed: u64,
    },
    /// A symbol that is needed has no definition.
    Unresolved {
        /// Its name.
        name: &'a str,
    },
    /// The loader does not know this type of relocation, or refuses it.
    UnknownRelocation {
        /// Its number.
        kind: u32,
        /// The ABI's name for it, if it has one.
        name: Option<&'static str>,
        /// The section that it applies to.
        section: &'a str,
        /// Bytes from the section's start.
        offset: u64,
    },
    /// A relocation applies to bytes that are not in its section.
    RelocationOutside {
        /// The relocation's type.
        relocation: &'static str,
        /// The section that it applies to.
        section: &'a str,
        /// Bytes from the section's start.
        offset: u64,
        /// The section's size.
        size: u64,
    },
    /// A relocation names a symbol that the table does not have.
    NoSuchSymbol {
        /// The section that it applies to.
        section: &'a str,
        /// Bytes from the section's start.
        offset: u64,
        /// The symbol's number.
        symbol: usize,
        /// How many there are.
        count: usize,
    },
    /// A call to a function behind a stub names another address than the
    /// function's.
    Addend {
        /// The function.
        name: &'a str,
        /// The section that the call is in.
        section: &'a str,
        /// Bytes from the section's start.
        offset: u64,
        /// What the relocation adds to the function's address.
        addend: i64,
    },
    /// A place, or what goes there, is not a multiple of what it must be.
    Misaligned {
        /// The relocation's type.
        relocation: &'static str,
        /// Where it applies.
        place: Place<'a>,
        /// The number that is not a multiple.
        value: u64,
        /// What it must be a multiple of.
        multiple: u64,
    },
    /// A value does not fit.
    Overflow {
        /// The relocation's type.
        relocation: &'static str,
        /// Where it applies.
        place: Place<'a>,
        /// The value, before the relocation takes its part of it.
        value: i64,
    },
    /// A call to the outside is not followed by a `nop`, so that r2 can't be
    /// restored.
    NoNop {
        /// Where the call is.
        place: Place<'a>,
        /// The word behind it, unless the section ends there.
        found: Option<u32>,
        /// The function that it calls.
        name: &'a str,
    },
    /// A branch that is no call goes to where r2 is lost.
    NotACall {
        /// Where it is.
        place: Place<'a>,
        /// The branch.
        found: u32,
        /// The function that it goes to.
        name: &'a str,
    },
    /// A branch's relocation applies to something else.
    NotABranch {
        /// The relocation's type.
        relocation: &'static str,
        /// Where it applies.
        place: Place<'a>,
        /// The word that is there.
        found: u32,
    },
    /// A relocation for a prefixed instruction that is relative to the program
    /// counter applies to something else.
    NotPrefixed {
        /// The relocation's type.
        relocation: &'static str,
        /// Where it applies.
        place: Place<'a>,
        /// The word that is there.
        found: u32,
    },
    /// A prefixed instruction crosses a multiple of 64 bytes, which no processor
    /// executes.
    Straddles {
        /// Where it is.
        place: Place<'a>,
    },
    /// The TOC pointer that was given is too far away for a part of the module.
    TocOutOfReach {
        /// The TOC pointer.
        toc: u64,
        /// The module's address.
        base: u64,
        /// Bytes that it needs there.
        size: u64,
    },
    /// The address is not a multiple of [`crate::Module::align`], or the module
    /// would reach past the last address.
    Base {
        /// The address.
        base: u64,
        /// What it must be a multiple of.
        align: u64,
        /// Bytes that the module needs there.
        size: u64,
    },
    /// The memory is not of [`crate::Module::size`].
    Image {
        /// Its size in bytes.
        found: usize,
        /// What it must be.
        expected: usize,
    },
    /// No memory for the loader's own lists.
    NoMemory {
        /// Bytes asked for.
        bytes: usize,
    },
}
