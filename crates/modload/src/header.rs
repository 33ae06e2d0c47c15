//! The ELF header, and where it says that the sections are.

use crate::{LoadError, Region};
use core::ops::Range;
use object::LittleEndian as LE;
use object::elf::{
    ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_PPC64, ET_REL, FileHeader64, SHN_LORESERVE, SectionHeader64,
};
use object::read::ReadRef;

/// The only version of ELF.
const VERSION: u8 = 1;
/// `e_flags` of the ELFv2 ABI (3.1).
const ELFV2: u32 = 2;

/// The section headers, and where they are.
pub(crate) struct Table<'a> {
    pub(crate) headers: &'a [SectionHeader64<LE>],
    /// The bytes of the file that hold them.
    pub(crate) bytes: Range<u64>,
    /// The number of the section that holds their names.
    pub(crate) names: usize,
}

/// Checks the header and finds the table.
pub(crate) fn parse(file: &[u8]) -> Result<Table<'_>, LoadError<'_>> {
    let start = file.get(..ELFMAG.len()).unwrap_or(file);
    if !ELFMAG.starts_with(start) {
        return Err(LoadError::NotElf { found: start });
    }
    let header: &FileHeader64<LE> = file.read_at(0).map_err(|()| LoadError::Truncated {
        what: Region::Header,
        needed: size_of::<FileHeader64<LE>>() as u64,
        found: file.len() as u64,
    })?;

    let found = header.e_ident.class;
    if found != ELFCLASS64 {
        return Err(LoadError::Class { found: found.0 });
    }
    let found = header.e_ident.data;
    if found != ELFDATA2LSB {
        return Err(LoadError::Endian { found: found.0 });
    }
    expect("the elf version", header.e_ident.version.0, VERSION, "1")?;
    let found = header.e_type.get(LE);
    if found != ET_REL {
        return Err(LoadError::Type { found: found.0 });
    }
    let found = header.e_machine.get(LE);
    if found != EM_PPC64 {
        return Err(LoadError::Machine { found: found.0 });
    }
    expect("the file version", header.e_version.get(LE), VERSION, "1")?;
    let found = header.e_flags.get(LE).0;
    if found != ELFV2 {
        return Err(LoadError::AbiVersion { found });
    }

    let size = size_of::<SectionHeader64<LE>>();
    expect(
        "the size of a section header",
        header.e_shentsize.get(LE),
        size as u16,
        "64",
    )?;
    let count = header.e_shnum.get(LE);
    // 0 can also mean that there are more than the field can hold.
    if count == 0 || count >= SHN_LORESERVE {
        return Err(LoadError::Absurd {
            what: "the number of sections",
            found: count.into(),
            expected: "1 to 65279",
        });
    }
    let names = header.e_shstrndx.get(LE).0;
    if names == 0 || names >= count {
        return Err(LoadError::Absurd {
            what: "the number of the section of names",
            found: names.into(),
            expected: "that of a section",
        });
    }
    let offset = header.e_shoff.get(LE);
    let count = usize::from(count);
    let end = offset.saturating_add((count * size) as u64);
    let headers = file
        .read_slice_at(offset, count)
        .map_err(|()| LoadError::Truncated {
            what: Region::SectionTable,
            needed: end,
            found: file.len() as u64,
        })?;
    Ok(Table {
        headers,
        bytes: offset..end,
        names: names.into(),
    })
}

fn expect<'a, T: Into<u64> + PartialEq + Copy, U: Into<T>>(
    what: &'static str,
    found: T,
    wanted: U,
    expected: &'static str,
) -> Result<(), LoadError<'a>> {
    if found == wanted.into() {
        return Ok(());
    }
    Err(LoadError::Absurd {
        what,
        found: found.into(),
        expected,
    })
}
