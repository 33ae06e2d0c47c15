//! The sections: that they are in the file, and which of them are loaded.

use crate::malformed::SectionError;
use crate::strings::Strings;
use crate::{LoadError, Region, header, memory};
use core::ops::Range;
use object::LittleEndian as LE;
use object::elf::{
    FileHeader64, SHF_ALLOC, SHF_COMPRESSED, SHF_TLS, SHT_FINI_ARRAY, SHT_INIT_ARRAY, SHT_NOBITS,
    SHT_NOTE, SHT_NULL, SHT_PREINIT_ARRAY, SHT_PROGBITS, SHT_STRTAB, SectionHeader64, SectionType,
};
use object::pod::slice_from_bytes;
use object::read::ReadRef;

/// The bytes of an entry in a table of symbols, and in one of relocations.
const ENTRY: u64 = 24;

/// The sections of a file. Those with bytes are in the file, share none, and
/// have good names.
pub(crate) struct Sections<'a> {
    pub(crate) file: &'a [u8],
    pub(crate) headers: &'a [SectionHeader64<LE>],
    names: Strings<'a>,
}

impl<'a> Sections<'a> {
    pub(crate) fn parse(file: &'a [u8]) -> Result<Self, LoadError<'a>> {
        let table = header::parse(file)?;
        let headers = table.headers;
        for (index, header) in headers.iter().enumerate() {
            let end = end_in_file(header);
            if end > file.len() as u64 {
                return Err(LoadError::Truncated {
                    what: Region::Section { index, name: "" },
                    needed: end,
                    found: file.len() as u64,
                });
            }
        }
        let sections = Self {
            file,
            headers,
            names: strings(file, headers, table.names)?,
        };
        for (index, header) in headers.iter().enumerate() {
            let offset = header.sh_name.get(LE);
            if !sections.names.contains(offset) {
                return Err(sections.error(index, SectionError::Name { offset }));
            }
            if is_loaded(header) {
                sections.check_loaded(index, header)?;
            }
        }
        sections.check_overlaps(table.bytes)?;
        Ok(sections)
    }

    pub(crate) fn name(&self, index: usize) -> &'a str {
        self.headers
            .get(index)
            .map_or("", |header| self.names.name(header.sh_name.get(LE)))
    }

    pub(crate) fn size(&self, index: usize) -> u64 {
        self.headers
            .get(index)
            .map_or(0, |header| header.sh_size.get(LE))
    }

    pub(crate) fn error(&self, index: usize, problem: SectionError) -> LoadError<'a> {
        LoadError::Section {
            index,
            name: self.name(index),
            problem,
        }
    }

    /// The table of names that a section refers to.
    pub(crate) fn strings(&self, index: usize) -> Result<Strings<'a>, LoadError<'a>> {
        strings(self.file, self.headers, index).map_err(|error| match error {
            LoadError::Section { index, problem, .. } => self.error(index, problem),
            other => other,
        })
    }

    /// The entries of a table of symbols or relocations.
    pub(crate) fn entries<T: object::Pod>(
        &self,
        index: usize,
        header: &SectionHeader64<LE>,
    ) -> Result<&'a [T], LoadError<'a>> {
        let found = header.sh_entsize.get(LE);
        if found != ENTRY {
            return Err(self.error(index, SectionError::EntrySize { found }));
        }
        let bytes = bytes(self.file, header);
        let size = size_of::<T>();
        if size as u64 != ENTRY || !bytes.len().is_multiple_of(size) {
            let found = bytes.len() as u64;
            return Err(self.error(index, SectionError::Size { found }));
        }
        let (entries, _) = slice_from_bytes(bytes, bytes.len() / size).unwrap_or_default();
        Ok(entries)
    }

    fn check_loaded(
        &self,
        index: usize,
        header: &SectionHeader64<LE>,
    ) -> Result<(), LoadError<'a>> {
        let flags = header.sh_flags.get(LE).0;
        let is_empty = header.sh_size.get(LE) == 0;
        let problem = match header.sh_type.get(LE) {
            _ if flags & SHF_COMPRESSED.0 != 0 => SectionError::Compressed,
            _ if flags & SHF_TLS.0 != 0 => SectionError::ThreadLocal,
            SHT_INIT_ARRAY | SHT_FINI_ARRAY | SHT_PREINIT_ARRAY if !is_empty => {
                SectionError::Constructors
            }
            _ if is_constructors(self.name(index)) && !is_empty => SectionError::Constructors,
            SHT_PROGBITS | SHT_NOBITS | SHT_NOTE | SHT_INIT_ARRAY | SHT_FINI_ARRAY
            | SHT_PREINIT_ARRAY => return Ok(()),
            SectionType(found) => SectionError::Type { found },
        };
        Err(self.error(index, problem))
    }

    fn check_overlaps(&self, table: Range<u64>) -> Result<(), LoadError<'a>> {
        let mut parts = memory::list(self.headers.len() + 2)?;
        let header = size_of::<FileHeader64<LE>>() as u64;
        parts.push((0, header, Region::Header));
        parts.push((table.start, table.end, Region::SectionTable));
        for (index, header) in self.headers.iter().enumerate() {
            let (start, end) = (header.sh_offset.get(LE), end_in_file(header));
            // Those without bytes are no part of the file.
            if start < end {
                parts.push((start, end, Region::Section { index, name: "" }));
            }
        }
        parts.sort_unstable_by_key(|(start, end, _)| (*start, *end));
        for pair in parts.array_windows() {
            let [(_, end, first), (start, _, second)] = *pair;
            if start < end {
                return Err(LoadError::Overlap {
                    first: self.named(first),
                    second: self.named(second),
                });
            }
        }
        Ok(())
    }

    fn named(&self, region: Region<'a>) -> Region<'a> {
        match region {
            Region::Section { index, .. } => Region::Section {
                index,
                name: self.name(index),
            },
            other => other,
        }
    }
}

/// Whether a section of this name holds functions, or the addresses of functions, that a
/// program runs before and after its own (System V gABI, "Special Sections"; gcc's
/// `.ctors` and `.dtors`). A priority may follow, such as `.init_array.00100`.
fn is_constructors(name: &str) -> bool {
    const NAMES: [&str; 7] = [
        ".init_array",
        ".preinit_array",
        ".fini_array",
        ".ctors",
        ".dtors",
        ".init",
        ".fini",
    ];
    NAMES.iter().any(|known| {
        let rest = name.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Whether a section is to be in memory.
pub(crate) fn is_loaded(header: &SectionHeader64<LE>) -> bool {
    header.sh_flags.get(LE).0 & SHF_ALLOC.0 != 0 && header.sh_type.get(LE) != SHT_NULL
}

/// What the file holds of a section: for a checked one everything, or nothing
/// if it has no bytes there.
pub(crate) fn bytes<'a>(file: &'a [u8], header: &SectionHeader64<LE>) -> &'a [u8] {
    let start = header.sh_offset.get(LE);
    let size = end_in_file(header).saturating_sub(start);
    file.read_bytes_at(start, size).unwrap_or_default()
}

/// Where a section's bytes end; 0 if it has none in the file.
fn end_in_file(header: &SectionHeader64<LE>) -> u64 {
    match header.sh_type.get(LE) {
        SHT_NULL | SHT_NOBITS => 0,
        _ => header
            .sh_offset
            .get(LE)
            .saturating_add(header.sh_size.get(LE)),
    }
}

fn strings<'a>(
    file: &'a [u8],
    headers: &[SectionHeader64<LE>],
    index: usize,
) -> Result<Strings<'a>, LoadError<'a>> {
    let problem = match headers.get(index) {
        Some(header) if header.sh_type.get(LE) == SHT_STRTAB => {
            match Strings::parse(bytes(file, header)) {
                Ok(strings) => return Ok(strings),
                Err(problem) => SectionError::Strings(problem),
            }
        }
        header => SectionError::NotStrings {
            found: header.map_or(0, |header| header.sh_type.get(LE).0),
        },
    };
    Err(LoadError::Section {
        index,
        name: "",
        problem,
    })
}
