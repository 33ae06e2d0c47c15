//! The symbols: that they are in their sections.

use crate::LoadError;
use crate::malformed::{SectionError, SymbolError};
use crate::sections::{Sections, is_loaded};
use crate::strings::Strings;
use object::LittleEndian as LE;
use object::elf::{
    SHN_ABS, SHN_COMMON, SHN_LORESERVE, SHN_UNDEF, SHT_NULL, SHT_SYMTAB, STB_LOCAL, STB_WEAK,
    STT_FILE, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_SECTION, STT_TLS, SectionHeader64, Sym64,
    SymbolSection,
};

/// The name that stands for the module's own TOC pointer (ELFv2 ABI 3.3).
const TOC_NAME: &str = ".TOC.";
/// The local-entry value of a function that may change r2 (ELFv2 ABI 3.4.1).
const CHANGES_TOC: u8 = 1;
/// The one that means nothing.
const RESERVED: u8 = 7;

/// Where a symbol's address comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// It is a number.
    Absolute(u64),
    /// It is this many bytes into a section.
    Section { index: usize, value: u64 },
    /// It is defined outside of the module.
    Outside { weak: bool },
    /// It is the TOC pointer.
    Toc,
}

/// The symbol table, checked.
#[derive(Clone, Copy)]
pub(crate) struct Symbols<'a> {
    /// The number of its section.
    pub(crate) section: usize,
    entries: &'a [Sym64<LE>],
    names: Strings<'a>,
}

impl<'a> Symbols<'a> {
    pub(crate) fn parse(sections: &Sections<'a>) -> Result<Self, LoadError<'a>> {
        let mut tables = (sections.headers.iter().enumerate())
            .filter(|(_, header)| header.sh_type.get(LE) == SHT_SYMTAB);
        let (first, others) = (tables.next(), tables.count());
        let (Some((section, header)), 0) = (first, others) else {
            return Err(LoadError::Absurd {
                what: "the number of symbol tables",
                found: (usize::from(first.is_some()) + others) as u64,
                expected: "1",
            });
        };
        let link = header.sh_link.get(LE);
        if link as usize >= sections.headers.len() {
            return Err(sections.error(section, SectionError::Link { found: link }));
        }
        let symbols = Self {
            section,
            entries: sections.entries(section, header)?,
            names: sections.strings(link as usize)?,
        };
        // The first one stands for no symbol.
        for (index, symbol) in symbols.entries.iter().enumerate().skip(1) {
            if let Err(problem) = symbols.check(symbol, sections.headers) {
                return Err(symbols.error(index, problem));
            }
        }
        Ok(symbols)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn name(&self, index: usize) -> &'a str {
        self.entries
            .get(index)
            .map_or("", |symbol| self.names.name(symbol.st_name.get(LE)))
    }

    pub(crate) fn error(&self, index: usize, problem: SymbolError) -> LoadError<'a> {
        LoadError::Symbol {
            index,
            name: self.name(index),
            problem,
        }
    }

    pub(crate) fn is_undefined(&self, index: usize) -> bool {
        matches!(self.origin(index), Origin::Outside { .. })
    }

    pub(crate) fn origin(&self, index: usize) -> Origin {
        let Some(symbol) = self.entries.get(index) else {
            return Origin::Absolute(0);
        };
        let value = symbol.st_value.get(LE);
        match symbol.st_shndx.get(LE) {
            _ if index == 0 => Origin::Absolute(0),
            SHN_UNDEF if self.names.is(symbol.st_name.get(LE), TOC_NAME) => Origin::Toc,
            SHN_UNDEF => Origin::Outside {
                weak: symbol.st_bind() == STB_WEAK,
            },
            SHN_ABS => Origin::Absolute(value),
            SymbolSection(index) => Origin::Section {
                index: index.into(),
                value,
            },
        }
    }

    /// Bytes from a function's global to its local entry point.
    pub(crate) fn local_entry(&self, index: usize) -> u8 {
        self.entries.get(index).map_or(0, local_entry)
    }

    /// Whether r2 may be another one when the function returns: if it is outside,
    /// or says so.
    pub(crate) fn loses_toc(&self, index: usize) -> bool {
        let says_so = |symbol: &Sym64<LE>| symbol.st_other.ppc64_local() == CHANGES_TOC;
        self.is_undefined(index) || self.entries.get(index).is_some_and(says_so)
    }

    /// Whether the symbol has an address that a relocation can use.
    pub(crate) fn check_use(
        &self,
        index: usize,
        headers: &[SectionHeader64<LE>],
    ) -> Result<(), SymbolError> {
        let kind = self.entries.get(index).map(|symbol| symbol.st_type());
        match (kind, self.origin(index)) {
            (Some(STT_TLS), _) => Err(SymbolError::ThreadLocal),
            (Some(STT_GNU_IFUNC), _) => Err(SymbolError::Indirect),
            (_, Origin::Section { index, .. }) if !headers.get(index).is_some_and(is_loaded) => {
                Err(SymbolError::NotLoaded)
            }
            _ => Ok(()),
        }
    }

    /// The symbol as a name for its address, if it is one and is loaded.
    pub(crate) fn named(
        &self,
        index: usize,
        headers: &[SectionHeader64<LE>],
        address: u64,
    ) -> Option<symtab::Symbol<'a>> {
        let symbol = self.entries.get(index)?;
        let Origin::Section { index: section, .. } = self.origin(index) else {
            return None;
        };
        let header = headers.get(section).filter(|header| is_loaded(header))?;
        let kind = match symbol.st_type() {
            STT_SECTION | STT_FILE | STT_TLS => return None,
            STT_FUNC | STT_GNU_IFUNC => symtab::Kind::Function,
            STT_NOTYPE if crate::layout::is_code(header) => symtab::Kind::Function,
            _ => symtab::Kind::Object,
        };
        let name = self.names.name(symbol.st_name.get(LE));
        (!name.is_empty()).then_some(symtab::Symbol {
            name,
            address,
            size: symbol.st_size.get(LE),
            kind,
            local_entry: local_entry(symbol),
            global: symbol.st_bind() != STB_LOCAL,
        })
    }

    pub(crate) fn is_called(&self, index: usize, name: &str) -> bool {
        self.entries
            .get(index)
            .is_some_and(|symbol| self.names.is(symbol.st_name.get(LE), name))
    }

    fn check(
        &self,
        symbol: &Sym64<LE>,
        headers: &[SectionHeader64<LE>],
    ) -> Result<(), SymbolError> {
        let offset = symbol.st_name.get(LE);
        if !self.names.contains(offset) {
            return Err(SymbolError::Name { offset });
        }
        let section = match symbol.st_shndx.get(LE) {
            SHN_UNDEF | SHN_ABS => return Ok(()),
            SHN_COMMON => return Err(SymbolError::Common),
            section if section.0 >= SHN_LORESERVE => None,
            SymbolSection(index) => headers.get(usize::from(index)),
        };
        let section = section.filter(|header| header.sh_type.get(LE) != SHT_NULL);
        let Some(section) = section else {
            let found = symbol.st_shndx.get(LE).0;
            return Err(SymbolError::Section { found });
        };
        if symbol.st_other.ppc64_local() == RESERVED {
            return Err(SymbolError::LocalEntry);
        }
        let value = symbol.st_value.get(LE);
        let size = symbol.st_size.get(LE).max(local_entry(symbol).into());
        let section = section.sh_size.get(LE);
        if value > section || size > section - value {
            return Err(SymbolError::Outside {
                value,
                size,
                section,
            });
        }
        Ok(())
    }
}

/// ELFv2 ABI 3.4.1: 2 to 6 mean 4 to 64 bytes, 0 and 1 that there is but one
/// entry point.
fn local_entry(symbol: &Sym64<LE>) -> u8 {
    match symbol.st_other.ppc64_local() {
        value @ 2..RESERVED => 1 << value,
        _ => 0,
    }
}
