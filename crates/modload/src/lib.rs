//! The pure half of the kernel's module loader.
//!
//! A module is a relocatable ELF file for ppc64le, ELFv2 ABI, such as `ld -r`
//! makes it. [`Module::parse`] checks it from end to end and decides where
//! everything goes, so that the kernel allocates once. [`Module::place`] fills
//! that memory for the address where it lies: sections, TOC, GOT, stubs, and
//! every relocation. Neither executes anything, and neither can panic whatever
//! the file holds: what is wrong with it comes back as a [`LoadError`].
//!
//! # Memory image
//! From its lowest address upwards, each part aligned as it asks for:
//!
//! 1. executable sections;
//! 2. stubs for calls to functions outside, [`STUB_WORDS`] words each;
//! 3. sections that are only read;
//! 4. sections that are written;
//! 5. the TOC: entries of the GOT, then sections named `.got` or `.toc`. It
//!    starts at a multiple of [`TOC_ALIGN`], and `.TOC.` is [`TOC_BIAS`] bytes
//!    behind that start (ELFv2 ABI 3.3);
//! 6. sections that the file holds no bytes of.
//!
//! Gaps are zero. Within a part, sections keep the file's order.
//!
//! # Making a module
//! `ld -r` of any objects for ELFv2. With `--save-restore-funcs` if some are of
//! `gcc -Os`, which relies upon functions of the linker's to save and restore
//! registers. Whether sections of functions are collected is all the same here.
//!
//! # Calls
//! `R_PPC64_REL24` is a call by code that has a TOC of its own. If the function
//! lies outside, or does not keep r2 (local-entry value 1), it goes through a
//! stub, which saves r2 at 24(r1), and the `nop` behind the call becomes
//! `ld r2,24(r1)`. A call to any other function of the module goes straight to
//! its local entry point.
//!
//! `R_PPC64_REL24_NOTOC` is a call by code that has no TOC and expects nothing
//! of r2. It enters the same stub behind the save, if the function is outside or
//! needs a TOC; nothing behind the call changes. Such code finds its data relative
//! to the program counter, by prefixed instructions (ISA 3.1), or in the GOT, which
//! it finds in the same way.
//!
//! # Sites of gcc's
//! A call of [`PROFILE`] is where gcc's `-mprofile-kernel` has left room for a call of
//! a tracer: it becomes a `nop`, and [`Placed::profiled`] says where. Nothing of that
//! name is asked for.
//!
//! # Someone else's TOC
//! [`Module::place_with_toc`] takes a TOC pointer from outside. The layout is the
//! same; all of it is then counted from there.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod apply;
mod call;
mod display;
mod error;
mod field;
mod header;
mod howto;
mod layout;
mod malformed;
mod memory;
mod names;
mod place;
mod placed;
mod references;
mod sections;
mod strings;
mod stub;
mod symbols;

pub use error::{LoadError, Place, Region};
pub use layout::{MAX_ALIGN, MAX_SIZE, TOC_ALIGN, TOC_BIAS};
pub use malformed::{SectionError, StringsError, SymbolError};
pub use placed::Placed;
pub use references::PROFILE;
pub use strings::MAX_NAME;
pub use stub::{STUB_WORDS, stub};

use layout::Layout;
use references::References;
use sections::Sections;
use symbols::Symbols;

/// A module that has been checked, and the plan for its memory.
pub struct Module<'a> {
    sections: Sections<'a>,
    symbols: Symbols<'a>,
    references: References<'a>,
    layout: Layout<'a>,
}

impl<'a> Module<'a> {
    /// Checks a file and plans its memory. The file may lie at any address.
    ///
    /// Takes time in proportion to the file's size, apart from sorting its
    /// sections and its references to the GOT.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(file: &'a [u8]) -> Result<Self, LoadError<'a>> {
        let sections = Sections::parse(file)?;
        let symbols = Symbols::parse(&sections)?;
        let references = References::parse(&sections, &symbols)?;
        let layout = Layout::plan(&sections, references.got.len(), references.stubs.len())?;
        Ok(Self {
            sections,
            symbols,
            references,
            layout,
        })
    }

    /// Bytes of memory that it needs, at most [`MAX_SIZE`].
    #[must_use]
    pub fn size(&self) -> usize {
        self.layout.size as usize
    }

    /// What the memory's address must be a multiple of: a power of two, at most
    /// [`MAX_ALIGN`].
    #[must_use]
    pub fn align(&self) -> usize {
        self.layout.align as usize
    }

    /// How many functions are called through a stub.
    #[must_use]
    pub fn stub_count(&self) -> usize {
        self.references.stubs.len()
    }

    /// How many entries the GOT has.
    #[must_use]
    pub fn got_count(&self) -> usize {
        self.references.got.len()
    }

    /// How many relocations [`Self::place`] applies.
    #[must_use]
    pub fn relocation_count(&self) -> usize {
        self.references.count
    }

    /// The bytes of the file's executable sections, in the file's order.
    pub fn code(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        let headers = self.sections.headers.iter();
        let code = headers.filter(|header| sections::is_loaded(header) && layout::is_code(header));
        code.map(|header| sections::bytes(self.sections.file, header))
    }

    /// The bytes that the file has of the loaded section of this name, as they are before
    /// any relocation; of several, the first.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&'a [u8]> {
        let mut loaded = self.layout.loaded.iter();
        loaded
            .find(|section| section.name == name)
            .map(|section| section.bytes)
    }

    /// The names that [`Self::place`] asks its resolver for, in the order of
    /// the file. Weak ones may remain unresolved.
    pub fn undefined(&self) -> impl Iterator<Item = &'a str> + '_ {
        (0..self.symbols.len())
            .filter(|index| self.references.is_used(*index) && self.symbols.is_undefined(*index))
            .map(|index| self.symbols.name(index))
    }
}
