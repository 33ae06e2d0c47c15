//! The debug sections of an object, with their relocations applied.

use crate::error::{Allowance, Error};
use gimli::{EndianSlice, RunTimeEndian, SectionId};
use object::read::{Relocation, RelocationTarget};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
use object::{ObjectKind, RelocationKind, SectionIndex, SectionKind, SymbolKind};
use std::collections::{BTreeMap, HashMap};

/// Bytes of a section.
pub(crate) type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// An object's debug sections.
///
/// In a relocatable object each function is at 0 of a section of its own. Here the sections
/// of code are laid out one behind the other, so that an address means one place; debug
/// sections begin at 0, as offsets into them want it.
pub(crate) struct Sections {
    data: HashMap<SectionId, Vec<u8>>,
    endian: RunTimeEndian,
    /// Where code begins. What the linker has left out of a file is described as at 0.
    pub lowest: u64,
    /// The names of functions by address.
    pub functions: BTreeMap<u64, String>,
}

impl Sections {
    /// Reads them all.
    pub fn read(object: &[u8]) -> Result<Self, Error> {
        let file = object::File::parse(object).map_err(Error::Object)?;
        let endian = if file.is_little_endian() {
            RunTimeEndian::Little
        } else {
            RunTimeEndian::Big
        };
        let places = Places::of(&file);
        let mut data = HashMap::new();
        for id in IDS {
            let Some(section) = file.section_by_name(id.name()) else {
                continue;
            };
            let mut bytes = section.data().map_err(Error::Object)?.to_vec();
            for (offset, relocation) in section.relocations() {
                let applied = places.apply(&file, &mut bytes, offset, &relocation, endian);
                applied.map_err(|what| Error::Relocation {
                    section: id.name(),
                    offset,
                    what,
                })?;
            }
            data.insert(id, bytes);
        }
        if !data.contains_key(&SectionId::DebugInfo) {
            return Err(Error::None);
        }
        let functions = file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
            .filter_map(|symbol| {
                let address = places.of_symbol(symbol.section_index(), symbol.address())?;
                Some((address, symbol.name().ok()?.to_owned()))
            })
            .collect();
        let code = file
            .sections()
            .filter(|section| section.kind() == SectionKind::Text && section.size() > 0)
            .filter_map(|section| places.of_symbol(Some(section.index()), section.address()));
        Ok(Self {
            data,
            endian,
            lowest: code.min().unwrap_or(0),
            functions,
        })
    }

    /// The sections as gimli reads them.
    pub fn dwarf(&self) -> gimli::Dwarf<Slice<'_>> {
        let section = |id| {
            let bytes = self.data.get(&id).map_or(&[][..], Vec::as_slice);
            Ok::<_, std::convert::Infallible>(EndianSlice::new(bytes, self.endian))
        };
        let Ok(mut dwarf) = gimli::Dwarf::load(section);
        dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
        dwarf
    }

    /// How much may be read of them.
    pub fn allowance(&self) -> Allowance {
        Allowance::new(self.data.values().map(Vec::len).sum())
    }
}

/// What is read. Locations of variables and the indexes for debuggers are left out.
const IDS: [SectionId; 10] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
    SectionId::DebugTypes,
];

/// Where the sections of a relocatable object are taken to be. In a linked file they are
/// where their headers say.
struct Places(HashMap<SectionIndex, u64>);

impl Places {
    fn of(file: &object::File<'_>) -> Self {
        let mut places = HashMap::new();
        if file.kind() != ObjectKind::Relocatable {
            return Self(places);
        }
        // Not 0: range lists end with it.
        let mut next = 0x1_0000;
        for section in file.sections() {
            if section.kind() == SectionKind::Text {
                places.insert(section.index(), next);
                let behind = section.size().saturating_add(0x100) & !0xff;
                next = u64::saturating_add(next, behind);
            }
        }
        Self(places)
    }

    fn of_symbol(&self, section: Option<SectionIndex>, address: u64) -> Option<u64> {
        let start = self.0.get(&section?).copied().unwrap_or(0);
        start.checked_add(address)
    }

    /// Writes what a relocation says into a section.
    fn apply(
        &self,
        file: &object::File<'_>,
        bytes: &mut [u8],
        offset: u64,
        relocation: &Relocation,
        endian: RunTimeEndian,
    ) -> Result<(), &'static str> {
        match relocation.kind() {
            RelocationKind::Absolute if !relocation.has_implicit_addend() => {}
            // Where a thread's own variable is, which is not read here.
            RelocationKind::None | RelocationKind::Unknown => return Ok(()),
            _ => return Err("is of a kind that debug information has not"),
        }
        let start = match relocation.target() {
            RelocationTarget::Symbol(index) => {
                let symbol = file
                    .symbol_by_index(index)
                    .map_err(|_| "names a symbol that is not there")?;
                self.of_symbol(symbol.section_index(), symbol.address())
                    .unwrap_or(0)
            }
            RelocationTarget::Section(index) => self.0.get(&index).copied().unwrap_or(0),
            _ => 0,
        };
        let value = start.wrapping_add_signed(relocation.addend());
        let little = endian == RunTimeEndian::Little;
        let place = usize::try_from(offset).ok();
        let place = place.and_then(|offset| bytes.get_mut(offset..));
        let outside = "is outside of the section";
        match (relocation.size(), place) {
            (64, Some(place)) => {
                let place = place.first_chunk_mut().ok_or(outside)?;
                *place = if little {
                    value.to_le_bytes()
                } else {
                    value.to_be_bytes()
                };
            }
            (32, Some(place)) => {
                let value = u32::try_from(value).map_err(|_| "does not fit into 32 bits")?;
                let place = place.first_chunk_mut().ok_or(outside)?;
                *place = if little {
                    value.to_le_bytes()
                } else {
                    value.to_be_bytes()
                };
            }
            (_, None) => return Err(outside),
            _ => return Err("is neither of 32 nor of 64 bits"),
        }
        Ok(())
    }
}
