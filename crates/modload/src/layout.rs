//! Where everything goes.

use crate::malformed::SectionError;
use crate::sections::{Sections, bytes, is_loaded};
use crate::stub::STUB_BYTES;
use crate::{LoadError, memory};
use alloc::vec::Vec;
use object::LittleEndian as LE;
use object::elf::{SHF_EXECINSTR, SHF_WRITE, SHT_NOBITS, SectionHeader64};

/// What pages allow changes at multiples of this.
pub const PAGE: u64 = pagetable::PAGE;
/// The most memory that a module may need, in bytes. More would be out of reach
/// for calls within it.
pub const MAX_SIZE: u64 = 64 << 20;
/// The largest alignment that a section may ask for.
pub const MAX_ALIGN: u64 = 64 << 10;
/// What the TOC's start is a multiple of, as GNU ld has it.
pub const TOC_ALIGN: u64 = 256;
/// Bytes from the TOC's start to what `.TOC.` stands for, so that 16 bits with a
/// sign reach all of the first 64 KiB (ELFv2 ABI 3.3).
pub const TOC_BIAS: u64 = 0x8000;

/// Bytes of an entry of the GOT.
pub(crate) const GOT_ENTRY: u64 = 8;

/// In the place of an offset: there is none.
const NOWHERE: u64 = u64::MAX;

/// The parts of the memory that hold sections, from the lowest address.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Part {
    Code,
    ReadOnly,
    Toc,
    Written,
    Zero,
}

/// A section in memory.
pub(crate) struct Loaded<'a> {
    pub(crate) name: &'a str,
    /// Bytes from the start of the memory.
    pub(crate) offset: u64,
    pub(crate) size: u64,
    /// What the file holds of it.
    pub(crate) bytes: &'a [u8],
}

/// The plan for the memory. All offsets are from its start.
pub(crate) struct Layout<'a> {
    pub(crate) size: u64,
    pub(crate) align: u64,
    /// Where the stubs are: the end of what is executed is that of the stubs.
    pub(crate) stubs: u64,
    pub(crate) text_end: u64,
    /// The end of what is not written, once it is placed.
    pub(crate) constants_end: u64,
    /// Where the TOC starts, with the entries of the GOT.
    pub(crate) toc: u64,
    /// In the order of their offsets.
    pub(crate) loaded: Vec<Loaded<'a>>,
    /// For each section of the file.
    offsets: Vec<u64>,
}

impl<'a> Layout<'a> {
    pub(crate) fn plan(
        sections: &Sections<'a>,
        got_entries: usize,
        stubs: usize,
    ) -> Result<Self, LoadError<'a>> {
        let count = (sections.headers.iter()).filter(|header| is_loaded(header));
        let mut layout = Self {
            size: 0,
            align: PAGE,
            stubs: 0,
            text_end: 0,
            constants_end: 0,
            toc: 0,
            loaded: memory::list(count.count())?,
            offsets: memory::filled(NOWHERE, sections.headers.len())?,
        };
        layout.add_sections(sections, Part::Code)?;
        layout.stubs = layout.add(STUB_BYTES, stubs as u64, STUB_BYTES)?;
        layout.text_end = layout.size;
        layout.next_page()?;
        layout.add_sections(sections, Part::ReadOnly)?;
        layout.toc = layout.add(GOT_ENTRY, got_entries as u64, TOC_ALIGN)?;
        layout.add_sections(sections, Part::Toc)?;
        layout.constants_end = layout.size;
        layout.next_page()?;
        layout.add_sections(sections, Part::Written)?;
        layout.add_sections(sections, Part::Zero)?;
        Ok(layout)
    }

    /// Where a section is, if it is loaded.
    pub(crate) fn offset(&self, section: usize) -> Option<u64> {
        (self.offsets.get(section).copied()).filter(|offset| *offset != NOWHERE)
    }

    fn add_sections(&mut self, sections: &Sections<'a>, part: Part) -> Result<(), LoadError<'a>> {
        for (index, header) in sections.headers.iter().enumerate() {
            let name = sections.name(index);
            if !is_loaded(header) || part_of(header, name) != part {
                continue;
            }
            let align = header.sh_addralign.get(LE).max(1);
            if !align.is_power_of_two() || align > MAX_ALIGN {
                return Err(sections.error(index, SectionError::Alignment { found: align }));
            }
            self.align = self.align.max(align);
            let size = header.sh_size.get(LE);
            let offset = self.add(size, 1, align)?;
            if let Some(entry) = self.offsets.get_mut(index) {
                *entry = offset;
            }
            self.loaded.push(Loaded {
                name,
                offset,
                size,
                bytes: bytes(sections.file, header),
            });
        }
        Ok(())
    }

    /// What comes next allows something else than what is before it, so it has pages of its own.
    fn next_page(&mut self) -> Result<(), LoadError<'a>> {
        self.add(0, 0, PAGE).map(drop)
    }

    /// Makes room, and says where it is.
    fn add(&mut self, size: u64, count: u64, align: u64) -> Result<u64, LoadError<'a>> {
        // No overflow: both are small.
        let start = self.size.next_multiple_of(align);
        let end = size.saturating_mul(count).saturating_add(start);
        if end > MAX_SIZE {
            return Err(LoadError::TooLarge { needed: end });
        }
        self.size = end;
        Ok(start)
    }
}

/// Whether a section is executed.
pub(crate) fn is_code(header: &SectionHeader64<LE>) -> bool {
    header.sh_flags.get(LE).0 & SHF_EXECINSTR.0 != 0
}

fn part_of(header: &SectionHeader64<LE>, name: &str) -> Part {
    let is_written = header.sh_flags.get(LE).0 & SHF_WRITE.0 != 0;
    if is_code(header) {
        Part::Code
    } else if !is_written || name == ".data.rel.ro" || name.starts_with(".data.rel.ro.") {
        Part::ReadOnly
    } else if header.sh_type.get(LE) == SHT_NOBITS {
        Part::Zero
    } else if matches!(name, ".got" | ".toc") {
        Part::Toc
    } else {
        Part::Written
    }
}
