//! One object file of the compiler's, taken apart as far as a comparison needs it.

use crate::ReadError;
use object::elf::{self, SymbolOther};
use object::read::elf::{ElfFile64, FileHeader as _, SectionHeader as _, Sym as _};
use object::{Endianness, RelocationFlags, RelocationTarget};
use object::{Object as _, ObjectSection as _};
use std::cell::OnceCell;

/// What a section is to the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Instructions.
    Code,
    /// Data that is only read once it has its addresses.
    Constant,
    /// Data with a value to begin with.
    Written,
    /// Data that begins as zeros, and has no bytes in the file.
    Zeroed,
    /// Slots of addresses that code finds through r2.
    Toc,
    /// The compiler's records of patchable functions.
    Records,
    /// Not loaded, or a table that the linker collects.
    Other,
}

/// A section.
#[derive(Debug)]
pub struct Section<'d> {
    pub(crate) name: &'d str,
    pub(crate) kind: Kind,
    /// Strings that end with a zero, of which the linker keeps one of each.
    pub(crate) strings: bool,
    pub(crate) align: u64,
    pub(crate) size: u64,
    pub(crate) bytes: &'d [u8],
    /// The section that the records are for, by its number in the file.
    pub(crate) link: usize,
    /// Its functions and objects, as numbers of symbols, by address.
    pub(crate) named: Vec<usize>,
}

/// What a symbol names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Named {
    /// A function.
    Function,
    /// A static.
    Object,
    /// A section, or something else without a name of its own.
    Nothing,
}

/// A symbol.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'d> {
    /// Its number in the file.
    pub(crate) number: usize,
    /// As the linker knows it.
    pub name: &'d str,
    /// What it names.
    pub named: Named,
    /// Of its unit alone.
    pub local: bool,
    /// Its section, by number in the file. Zero if it is defined elsewhere, or is absolute.
    pub(crate) section: usize,
    /// A number, and no place.
    pub(crate) absolute: bool,
    /// Bytes into the section.
    pub value: u64,
    /// Bytes.
    pub size: u64,
    /// `st_other`: where the local entry is (ELFv2 3.4.1).
    pub other: u8,
}

impl Symbol<'_> {
    /// Bytes from the global to the local entry (ELFv2 3.4.1).
    #[must_use]
    pub fn local_entry(&self) -> u8 {
        local_entry(self.other)
    }

    /// Whether an offset into its section is in it.
    fn covers(&self, offset: u64) -> bool {
        offset.wrapping_sub(self.value) < self.size.max(1)
    }
}

/// Bytes from the global to the local entry (ELFv2 3.4.1).
pub(crate) fn local_entry(other: u8) -> u8 {
    match SymbolOther(other).ppc64_local() {
        bits @ 2..=6 => 1 << bits,
        _ => 0,
    }
}

/// A relocation.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Bytes into the section.
    pub(crate) offset: u64,
    /// `R_PPC64_*`.
    pub(crate) kind: u32,
    /// The number of the symbol.
    pub(crate) symbol: usize,
    pub(crate) addend: i64,
}

/// The most that a section may have, in bytes: the kernel has less memory.
const MOST_SIZE: u64 = 1 << 30;
/// The most that a section may be aligned to.
const MOST_ALIGN: u64 = 1 << 16;

/// What the compiler has made of one part of a crate, or of an assembler file.
#[derive(Debug)]
pub struct Unit<'d> {
    /// The archive that it is in: crate, and what else decides on its symbols' names.
    pub archive: String,
    /// Its name, which is the same at each build: that of its `STT_FILE` symbol, or without
    /// one, as an assembler's, what its archive calls it.
    pub name: &'d str,
    pub(crate) bytes: &'d [u8],
    pub(crate) sections: Vec<Section<'d>>,
    pub(crate) symbols: Vec<Symbol<'d>>,
    links: Vec<OnceCell<Vec<Link>>>,
    elf: ElfFile64<'d, Endianness>,
}

impl<'d> Unit<'d> {
    /// Takes an object file apart. `member` is what its archive calls it.
    ///
    /// # Errors
    /// When it is no relocatable file for little-endian ppc64, or is damaged.
    pub fn read(archive: &str, member: &'d str, bytes: &'d [u8]) -> Result<Self, ReadError> {
        let error = |what: &'static str| ReadError::Object {
            archive: archive.to_owned(),
            member: member.to_owned(),
            what,
        };
        let elf =
            ElfFile64::<Endianness>::parse(bytes).map_err(|_| error("not a 64-bit ELF file"))?;
        let endian = elf.endian();
        let header = elf.elf_header();
        if endian != Endianness::Little || header.e_machine(endian) != elf::EM_PPC64 {
            return Err(error("not for little-endian ppc64"));
        }
        if header.e_type(endian) != elf::ET_REL {
            return Err(error("not a relocatable file"));
        }
        let mut sections = Vec::new();
        for section in elf.elf_section_table().iter() {
            let name = elf.elf_section_table().section_name(endian, section);
            let name = name.ok().and_then(|name| std::str::from_utf8(name).ok());
            let name = name.ok_or_else(|| error("a section without a name"))?;
            let flags = section.sh_flags(endian).0;
            let kind = kind(name, section.sh_type(endian), flags);
            let align = section.sh_addralign(endian);
            if kind != Kind::Other
                && (align > MOST_ALIGN
                    || !align.max(1).is_power_of_two()
                    || section.sh_size(endian) > MOST_SIZE)
            {
                return Err(error("a section is too large, or aligned as none can be"));
            }
            let data = if matches!(kind, Kind::Other | Kind::Zeroed) {
                &[]
            } else {
                section
                    .data(endian, bytes)
                    .map_err(|_| error("a section is cut off"))?
            };
            sections.push(Section {
                name,
                kind,
                strings: flags & elf::SHF_STRINGS.0 != 0,
                align,
                size: section.sh_size(endian),
                bytes: data,
                link: section.sh_link(endian) as usize,
                named: Vec::new(),
            });
        }
        let table = elf.elf_symbol_table();
        let mut symbols = Vec::with_capacity(table.len());
        let mut unit = None;
        for (index, symbol) in table.enumerate().map(|(index, symbol)| (index.0, symbol)) {
            let name = table.symbol_name(endian, symbol);
            let name = name.ok().and_then(|name| std::str::from_utf8(name).ok());
            let name = name.ok_or_else(|| error("a symbol's name can't be read"))?;
            let section = table.symbol_section(endian, symbol, object::SymbolIndex(index));
            let section = section.map_err(|_| error("a symbol's section can't be read"))?;
            let section = section.map_or(0, |section| section.0);
            let named = match symbol.st_type() {
                elf::STT_FUNC => Named::Function,
                elf::STT_OBJECT => Named::Object,
                _ => Named::Nothing,
            };
            if symbol.st_type() == elf::STT_FILE && unit.is_none() {
                unit = Some(name);
            }
            let value = symbol.st_value(endian);
            let size = symbol.st_size(endian);
            let home: &mut Section<'_> = sections
                .get_mut(section)
                .ok_or_else(|| error("a symbol in no section"))?;
            if section != 0 && named != Named::Nothing {
                if value.checked_add(size).is_none_or(|end| end > home.size) {
                    return Err(error("a symbol reaches beyond its section"));
                }
                home.named.push(index);
            }
            symbols.push(Symbol {
                number: index,
                name,
                named,
                local: symbol.st_bind() == elf::STB_LOCAL,
                section,
                absolute: symbol.st_shndx(endian) == elf::SHN_ABS,
                value,
                size,
                other: symbol.st_other().0,
            });
        }
        for section in &mut sections {
            section
                .named
                .sort_by_key(|&symbol| (symbols[symbol].value, symbol));
        }
        let links = (0..sections.len()).map(|_| OnceCell::new()).collect();
        Ok(Self {
            archive: archive.to_owned(),
            name: unit.unwrap_or(member),
            bytes,
            sections,
            symbols,
            links,
            elf,
        })
    }

    /// The relocations of a section, by offset.
    pub(crate) fn links(&self, section: usize) -> &[Link] {
        self.links[section].get_or_init(|| {
            let found = self.elf.section_by_index(object::SectionIndex(section));
            let found = found.into_iter().flat_map(|section| section.relocations());
            let mut links: Vec<Link> = found
                .filter_map(|(offset, relocation)| {
                    let RelocationTarget::Symbol(symbol) = relocation.target() else {
                        return None;
                    };
                    let RelocationFlags::Elf { r_type } = relocation.flags() else {
                        return None;
                    };
                    Some(Link {
                        offset,
                        kind: r_type.0,
                        symbol: symbol.0,
                        addend: relocation.addend(),
                    })
                })
                .filter(|link| link.symbol < self.symbols.len())
                .collect();
            links.sort_by_key(|link| link.offset);
            links
        })
    }

    /// The relocations of a part of a section.
    pub(crate) fn links_in(&self, section: usize, from: u64, size: u64) -> &[Link] {
        let links = self.links(section);
        let first = links.partition_point(|link| link.offset < from);
        let end = links.partition_point(|link| link.offset < from.saturating_add(size));
        &links[first..end.max(first)]
    }

    /// The bytes of a symbol. None if it begins as zeros.
    pub(crate) fn bytes_of(&self, symbol: &Symbol<'_>) -> &'d [u8] {
        self.bytes_in(symbol.section, symbol.value, symbol.size)
    }

    /// The bytes of a part of a section. None if it begins as zeros.
    pub(crate) fn bytes_in(&self, section: usize, start: u64, size: u64) -> &'d [u8] {
        let bytes = self.sections[section].bytes;
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        bytes
            .get(start..start.saturating_add(size))
            .unwrap_or_default()
    }

    /// The function or static that an offset in a section is in.
    pub(crate) fn covering(&self, section: usize, offset: u64) -> Option<&Symbol<'d>> {
        let named = &self.sections.get(section)?.named;
        let symbols = named.iter().map(|&symbol| &self.symbols[symbol]);
        { symbols }.find(|symbol| symbol.covers(offset))
    }

    /// Whether a section is in memory while the program runs.
    pub(crate) fn is_loaded(&self, section: usize) -> bool {
        self.sections[section].kind != Kind::Other
    }

    /// Its functions.
    pub fn functions(&self) -> impl Iterator<Item = &Symbol<'d>> {
        self.defined(Named::Function)
            .filter(|symbol| self.sections[symbol.section].kind == Kind::Code)
    }

    /// Its statics.
    pub fn statics(&self) -> impl Iterator<Item = &Symbol<'d>> {
        self.defined(Named::Object)
    }

    fn defined(&self, named: Named) -> impl Iterator<Item = &Symbol<'d>> {
        self.symbols
            .iter()
            .filter(move |symbol| symbol.named == named && symbol.section != 0)
    }
}

fn kind(name: &str, sort: elf::SectionType, flags: u64) -> Kind {
    let has = |flag: elf::SectionFlags| flags & flag.0 != 0;
    if !has(elf::SHF_ALLOC) {
        return Kind::Other;
    }
    if name == ".toc" {
        return Kind::Toc;
    }
    if name == "__patchable_function_entries" {
        return Kind::Records;
    }
    if has(elf::SHF_EXECINSTR) {
        return Kind::Code;
    }
    if sort == elf::SHT_NOBITS {
        return Kind::Zeroed;
    }
    match has(elf::SHF_WRITE) && !name.starts_with(".data.rel.ro") {
        true => Kind::Written,
        false => Kind::Constant,
    }
}
