//! The relocations: that each applies to bytes that exist, and what all of them
//! need together.

use crate::howto::{Howto, Value, howto};
use crate::malformed::SectionError;
use crate::sections::{Sections, bytes, is_loaded};
use crate::symbols::Symbols;
use crate::{LoadError, memory, names};
use alloc::vec::Vec;
use object::LittleEndian as LE;
use object::elf::{
    Rela64, SHT_CREL, SHT_NOBITS, SHT_REL, SHT_RELA, SHT_RELR, SectionHeader64, SectionType,
};

/// How many types of relocations the ABI has room for.
pub(crate) const KINDS: usize = 256;

/// What the relocations want of a symbol, in one number: how many stubs there
/// are before its own, or one of these.
const UNUSED: u32 = u32::MAX;
const USED: u32 = u32::MAX - 1;

/// What gcc's `-mprofile-kernel` calls at each function's local entry.
pub const PROFILE: &str = "_mcount";

/// The relocations of one section that is loaded.
pub(crate) struct Group<'a> {
    /// The number of that section.
    pub(crate) target: usize,
    pub(crate) entries: &'a [Rela64<LE>],
}

/// All relocations of sections that are loaded.
pub(crate) struct References<'a> {
    pub(crate) groups: Vec<Group<'a>>,
    /// How many relocations.
    pub(crate) count: usize,
    /// How many of each type.
    pub(crate) kinds: Vec<u32>,
    /// For each symbol, what is wanted of it.
    uses: Vec<u32>,
    /// The symbol of each stub.
    pub(crate) stubs: Vec<u32>,
    /// For each entry of the GOT, symbol and addend; sorted, no two the same.
    pub(crate) got: Vec<(u32, i64)>,
    /// The symbol [`PROFILE`], once it has been called.
    profile: Option<u32>,
    /// Section and offset of each call of it.
    pub(crate) profiled: Vec<(usize, u64)>,
}

/// One relocation, taken apart.
#[derive(Clone, Copy)]
pub(crate) struct Relocation {
    pub(crate) kind: u32,
    pub(crate) offset: u64,
    pub(crate) symbol: u32,
    pub(crate) addend: i64,
}

impl From<&Rela64<LE>> for Relocation {
    fn from(entry: &Rela64<LE>) -> Self {
        let info = entry.r_info.get(LE);
        Self {
            kind: info as u32,
            offset: entry.r_offset.get(LE),
            symbol: (info >> 32) as u32,
            addend: entry.r_addend.get(LE),
        }
    }
}

impl Relocation {
    /// The ABI's name for its type.
    pub(crate) fn name(&self) -> &'static str {
        names::name(self.kind).unwrap_or("relocation")
    }
}

impl<'a> References<'a> {
    pub(crate) fn parse(
        sections: &Sections<'a>,
        symbols: &Symbols<'a>,
    ) -> Result<Self, LoadError<'a>> {
        let mut references = Self {
            groups: Vec::new(),
            count: 0,
            kinds: memory::filled(0, KINDS)?,
            uses: memory::filled(UNUSED, symbols.len())?,
            stubs: Vec::new(),
            got: Vec::new(),
            profile: None,
            profiled: Vec::new(),
        };
        for (index, header) in sections.headers.iter().enumerate() {
            match header.sh_type.get(LE) {
                SHT_RELA => {}
                SectionType(found) if [SHT_REL.0, SHT_RELR.0, SHT_CREL.0].contains(&found) => {
                    return Err(sections.error(index, SectionError::RelocationForm { found }));
                }
                _ => continue,
            }
            if let Some(group) = group(sections, symbols, index, header)? {
                for entry in group.entries {
                    references.note(sections, symbols, group.target, entry.into())?;
                }
                references.count += group.entries.len();
                memory::push(&mut references.groups, group)?;
            }
        }
        references.got.sort_unstable();
        references.got.dedup();
        Ok(references)
    }

    /// Whether a relocation needs the symbol's address.
    pub(crate) fn is_used(&self, symbol: usize) -> bool {
        self.uses
            .get(symbol)
            .is_some_and(|wanted| *wanted != UNUSED)
    }

    /// Whether a symbol is [`PROFILE`], and called.
    pub(crate) fn is_profile(&self, symbol: u32) -> bool {
        self.profile == Some(symbol)
    }

    /// The number of the stub that calls to the symbol go through.
    pub(crate) fn stub_of(&self, symbol: usize) -> Option<u32> {
        (self.uses.get(symbol).copied()).filter(|wanted| *wanted < USED)
    }

    /// Checks one relocation and notes what it needs.
    fn note(
        &mut self,
        sections: &Sections<'a>,
        symbols: &Symbols<'a>,
        target: usize,
        relocation: Relocation,
    ) -> Result<(), LoadError<'a>> {
        let Relocation {
            kind,
            offset,
            symbol,
            addend,
        } = relocation;
        let section = || sections.name(target);
        let Some(howto) = howto(kind) else {
            return Err(LoadError::UnknownRelocation {
                kind,
                name: names::name(kind),
                section: section(),
                offset,
            });
        };
        let size = sections.size(target);
        if offset > size || howto.field.bytes() > size - offset {
            return Err(LoadError::RelocationOutside {
                relocation: relocation.name(),
                section: section(),
                offset,
                size,
            });
        }
        let index = symbol as usize;
        let count = symbols.len();
        let Some(wanted) = self.uses.get_mut(index) else {
            return Err(LoadError::NoSuchSymbol {
                section: section(),
                offset,
                symbol: index,
                count,
            });
        };
        if let Some(kinds) = self.kinds.get_mut(kind as usize) {
            *kinds = kinds.saturating_add(1);
        }
        if howto.value == Value::Nothing {
            return Ok(());
        }
        let through_stub = needs_stub(howto, symbols, index);
        if through_stub {
            // The name is looked at once a symbol. It gets no stub and no address.
            if *wanted == UNUSED && self.profile.is_none() && symbols.name(index) == PROFILE {
                self.profile = Some(symbol);
            }
            if self.profile == Some(symbol) {
                return memory::push(&mut self.profiled, (target, offset));
            }
        }
        // A symbol is looked at once, however many relocations use it.
        if *wanted == UNUSED {
            if let Err(problem) = symbols.check_use(index, sections.headers) {
                return Err(symbols.error(index, problem));
            }
            *wanted = USED;
        }
        if matches!(howto.value, Value::Got | Value::GotRelative) {
            memory::push(&mut self.got, (symbol, addend))?;
        }
        if through_stub {
            if addend != 0 {
                return Err(LoadError::Addend {
                    name: symbols.name(index),
                    section: section(),
                    offset,
                    addend,
                });
            }
            if *wanted == USED {
                *wanted = self.stubs.len() as u32;
                memory::push(&mut self.stubs, symbol)?;
            }
        }
        Ok(())
    }
}

/// Whether a call must go through a stub: if the function is outside, if it may
/// change the r2 of code that has one, or if it needs one and the caller's code
/// has none.
pub(crate) fn needs_stub(howto: Howto, symbols: &Symbols<'_>, symbol: usize) -> bool {
    match howto.value {
        Value::Call => symbols.loses_toc(symbol),
        Value::CallWithoutToc => symbols.is_undefined(symbol) || symbols.local_entry(symbol) != 0,
        _ => false,
    }
}

/// The relocations in a section, unless they are for one that is not loaded.
fn group<'a>(
    sections: &Sections<'a>,
    symbols: &Symbols<'a>,
    index: usize,
    header: &SectionHeader64<LE>,
) -> Result<Option<Group<'a>>, LoadError<'a>> {
    let info = header.sh_info.get(LE);
    let target = info as usize;
    let problem = match sections.headers.get(target) {
        Some(section) if target != 0 => {
            if !is_loaded(section) {
                return Ok(None);
            }
            let link = header.sh_link.get(LE);
            if link as usize != symbols.section {
                SectionError::Link { found: link }
            } else if section.sh_type.get(LE) == SHT_NOBITS
                && !bytes(sections.file, header).is_empty()
            {
                SectionError::NoBytes { target: info }
            } else {
                let entries = sections.entries(index, header)?;
                return Ok(Some(Group { target, entries }));
            }
        }
        _ => SectionError::Target { found: info },
    };
    Err(sections.error(index, problem))
}
