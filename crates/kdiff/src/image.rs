//! The running kernel: what is where.

use crate::ReadError;
use crate::unit::{self, Named};
use klp::info::BUILD_ID_BYTES;
use object::elf::{self, ET_EXEC};
use object::read::elf::{ElfFile64, FileHeader as _, Sym as _};
use object::{Endianness, Object as _, ObjectSection as _, SectionKind};
use std::collections::{HashMap, HashSet};

/// What gcc's code calls at each function's local entry (`-mprofile-kernel`).
pub(crate) const PROFILE: &str = "_mcount";
/// `mflr r0`, which stands before it.
const SAVE_LR: u32 = 0x7c08_02a6;
/// `bl` without its displacement, and the displacement.
const CALL: u32 = 0x4800_0001;
const FIELD_24: u32 = 0x03ff_fffc;

/// A function, a static, or what the linker script names.
#[derive(Clone, Copy, Debug)]
pub struct Found<'d> {
    /// As the linker knows it.
    pub name: &'d str,
    /// What it names.
    pub named: Named,
    /// Where it is.
    pub address: u64,
    /// `st_other`: where the local entry is (ELFv2 3.4.1).
    pub other: u8,
    /// Which of several of that name, by address and counted from 1; 0 if it is the only one.
    pub position: u32,
    unit: &'d str,
    local: bool,
}

impl Found<'_> {
    /// Whether it is of a unit's, or known to all.
    pub(crate) fn is_of(&self, unit: &str) -> bool {
        !self.local || self.unit == unit
    }
}

/// A linked kernel.
#[derive(Debug)]
pub struct Image<'d> {
    by_name: HashMap<&'d str, Vec<Found<'d>>>,
    sites: HashSet<u64>,
    /// Where its code is.
    code: Vec<(u64, &'d [u8])>,
    /// What gcc's functions call at their local entries.
    profile: Option<u64>,
    /// What a module says of the kernel that it is for.
    pub build_id: [u8; BUILD_ID_BYTES],
}

impl<'d> Image<'d> {
    /// Reads a kernel's file, with its symbol table.
    ///
    /// # Errors
    /// When it is no kernel of this project's, or is damaged.
    pub fn read(bytes: &'d [u8]) -> Result<Self, ReadError> {
        let error = |what: &'static str| ReadError::Kernel { what };
        let elf =
            ElfFile64::<Endianness>::parse(bytes).map_err(|_| error("not a 64-bit ELF file"))?;
        let (endian, header) = (elf.endian(), elf.elf_header());
        if header.e_machine(endian) != elf::EM_PPC64 || header.e_type(endian) != ET_EXEC {
            return Err(error("not an executable for ppc64"));
        }
        let mut by_name: HashMap<&str, Vec<Found<'d>>> = HashMap::new();
        let mut unit = "";
        let table = elf.elf_symbol_table();
        for symbol in table.iter() {
            let name = table.symbol_name(endian, symbol).unwrap_or_default();
            let name = std::str::from_utf8(name).map_err(|_| error("a name is not UTF-8"))?;
            let named = match symbol.st_type() {
                elf::STT_FILE => {
                    unit = name;
                    continue;
                }
                elf::STT_FUNC => Named::Function,
                elf::STT_OBJECT => Named::Object,
                elf::STT_NOTYPE => Named::Nothing,
                _ => continue,
            };
            if name.is_empty() || symbol.st_shndx(endian) == elf::SHN_UNDEF {
                continue;
            }
            by_name.entry(name).or_default().push(Found {
                name,
                named,
                address: symbol.st_value(endian),
                other: symbol.st_other().0,
                position: 0,
                unit,
                local: symbol.st_bind() == elf::STB_LOCAL,
            });
        }
        for several in by_name.values_mut().filter(|found| found.len() > 1) {
            several.sort_by_key(|found| found.address);
            for (index, found) in several.iter_mut().enumerate() {
                found.position = index as u32 + 1;
            }
        }
        let sites = elf.section_by_name("__patchable_function_entries");
        let sites = sites
            .and_then(|sites| sites.data().ok())
            .unwrap_or_default();
        let words = sites.as_chunks().0.iter();
        let code = elf
            .sections()
            .filter(|section| section.kind() == SectionKind::Text);
        let code = code.filter_map(|section| Some((section.address(), section.data().ok()?)));
        let profile = by_name.get(PROFILE).and_then(|found| found.first());
        let id = elf.build_id().ok().flatten();
        let id = id.and_then(|id| id.try_into().ok());
        Ok(Self {
            code: code.collect(),
            profile: profile.map(|found| found.address),
            by_name,
            sites: words.map(|word| u64::from_le_bytes(*word)).collect(),
            build_id: id.ok_or_else(|| error("it has no build id"))?,
        })
    }

    /// What a symbol of a unit is in the kernel: nothing if the linker has left it out, or
    /// it is new.
    #[must_use]
    pub fn find(&self, name: &str, unit: &str, local: bool) -> Option<&Found<'d>> {
        let found = self.by_name.get(name)?;
        if local {
            return found.iter().find(|one| one.local && one.unit == unit);
        }
        found.iter().find(|one| !one.local)
    }

    /// All symbols of a name.
    #[must_use]
    pub fn all(&self, name: &str) -> &[Found<'d>] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether calls of a function can be diverted: it has the compiler's nops, or gcc's call.
    #[must_use]
    pub fn has_site(&self, function: &Found<'_>) -> bool {
        if self.sites.contains(&function.address) {
            return true;
        }
        let entry = function.address + u64::from(unit::local_entry(function.other));
        let call = entry + 4;
        let Some(word) = self.word(call).filter(|word| word & !FIELD_24 == CALL) else {
            return false;
        };
        let bytes = (word << 6).cast_signed() >> 6 & !3;
        let called = call.wrapping_add_signed(i64::from(bytes));
        self.word(entry) == Some(SAVE_LR) && self.profile == Some(called)
    }

    /// The instruction at an address.
    fn word(&self, address: u64) -> Option<u32> {
        self.code.iter().find_map(|&(start, bytes)| {
            let at = usize::try_from(address.checked_sub(start)?).ok()?;
            Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
        })
    }
}
