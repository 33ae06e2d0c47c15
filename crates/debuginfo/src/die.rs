//! Entries of `.debug_info` and their attributes.

use crate::error::{Allowance, Error};
use crate::sections::Slice;
use gimli::{Attribute, AttributeValue, DwAt, SectionId, Unit};

/// A reader's own error, with where it was.
pub(crate) fn damaged(section: SectionId, unit: usize) -> impl Fn(gimli::Error) -> Error + Copy {
    move |what| Error::Dwarf {
        section: section.name(),
        unit,
        what,
    }
}

/// An entry, with the unit that it is in.
pub(crate) struct Die<'d, 'a> {
    pub dwarf: &'d gimli::Dwarf<Slice<'a>>,
    pub unit: &'d Unit<Slice<'a>>,
    /// Where the unit begins in `.debug_info`.
    pub start: usize,
    pub attributes: &'d [Attribute<Slice<'a>>],
}

impl<'a> Die<'_, 'a> {
    pub fn value(&self, name: DwAt) -> Option<AttributeValue<Slice<'a>>> {
        let attribute = self.attributes.iter().find(|one| one.name() == name)?;
        Some(attribute.value())
    }

    pub fn has(&self, name: DwAt) -> bool {
        self.attributes.iter().any(|one| one.name() == name)
    }

    pub fn number(&self, name: DwAt) -> Option<u64> {
        self.value(name)?.udata_value()
    }

    /// A string. What is damaged in a string's own bytes is replaced.
    pub fn string(&self, name: DwAt, allowance: &mut Allowance) -> Result<Option<String>, Error> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let bytes = self
            .dwarf
            .attr_string(self.unit, value)
            .map_err(damaged(SectionId::DebugStr, self.start))?;
        allowance.take(bytes.len())?;
        Ok(Some(bytes.to_string_lossy().into_owned()))
    }

    /// The entry that an attribute points at, as an offset in `.debug_info`.
    pub fn reference(&self, name: DwAt) -> Option<usize> {
        match self.value(name)? {
            AttributeValue::UnitRef(offset) => self.start.checked_add(offset.0),
            AttributeValue::DebugInfoRef(offset) => Some(offset.0),
            _ => None,
        }
    }

    /// An address, which DWARF 5 may keep in a table.
    pub fn address(&self, name: DwAt) -> Result<Option<u64>, Error> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        self.dwarf
            .attr_address(self.unit, value)
            .map_err(damaged(SectionId::DebugAddr, self.start))
    }
}

/// How many units an object may have: rustc writes one for each codegen unit.
const UNITS: usize = 1 << 13;

/// Calls `each` with every unit and where it begins.
pub(crate) fn units<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    mut each: impl FnMut(&Unit<Slice<'a>>, usize) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut headers = dwarf.units();
    let mut start = 0;
    let mut count = 0;
    while let Some(header) = headers
        .next()
        .map_err(damaged(SectionId::DebugInfo, start))?
    {
        count += 1;
        if count > UNITS {
            return Err(Error::Repeats);
        }
        start = header.debug_info_offset().map_or(0, |offset| offset.0);
        let unit = dwarf
            .unit(header)
            .map_err(damaged(SectionId::DebugInfo, start))?;
        each(&unit, start)?;
    }
    Ok(())
}
