//! A linked module: its functions, and where their words lead.

use crate::symbols;
use anyhow::{Context, Result, bail, ensure};
use klp::{Convention, Function, Info, Object, info};
use modload::STUB_WORDS;
use object::elf;
use object::read::elf::{ElfFile64, ElfSection64};
use object::{
    Endianness, Object as _, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget,
    SectionIndex, SymbolFlags, SymbolIndex, SymbolKind, SymbolSection,
};
use std::collections::{BTreeMap, HashMap};
use std::mem::offset_of;

/// `R_PPC64_REL24_NOTOC` (ELFv2 3.5.4), which the ELF crate lacks.
const REL24_NOTOC: u32 = 116;

/// How the names begin of what `ld --save-restore-funcs` adds: straight code that saves and
/// restores general registers, for gcc -Os (ELFv2 2.3.3).
const LINKERS: [&str; 2] = ["_savegpr", "_restgpr"];

/// A place in the module.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Place {
    pub section: SectionIndex,
    pub offset: u64,
}

/// What a relocation names.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Its number in the ABI.
    pub kind: u32,
    /// What it leads to, if that is in the module.
    pub to: Option<Place>,
    /// The symbol's name; empty for a section.
    pub name: String,
    /// What is added to the symbol's address.
    pub addend: i64,
}

impl Reference {
    /// Whether it is the target of a branch.
    pub fn is_branch(&self) -> bool {
        const BRANCHES: [u32; 5] = [
            elf::R_PPC64_REL24.0,
            elf::R_PPC64_REL14.0,
            elf::R_PPC64_REL14_BRTAKEN.0,
            elf::R_PPC64_REL14_BRNTAKEN.0,
            REL24_NOTOC,
        ];
        BRANCHES.contains(&self.kind)
    }
}

/// A function.
#[derive(Clone, Debug)]
pub struct Code {
    /// Its symbol.
    pub name: String,
    /// Its global entry.
    pub start: Place,
    /// Bytes from there to the local entry.
    pub local: u64,
    /// Its words.
    pub words: Vec<u32>,
}

/// The module.
pub struct Module<'data> {
    file: ElfFile64<'data, Endianness>,
    references: HashMap<SectionIndex, BTreeMap<u64, Reference>>,
    functions: Vec<Code>,
    /// The names of what lies elsewhere at a fixed address: in the kernel that the module
    /// is for.
    fixed: BTreeMap<u64, Vec<String>>,
}

impl<'data> Module<'data> {
    /// Reads a file.
    pub fn parse(bytes: &'data [u8]) -> Result<Module<'data>> {
        let file = symbols::parse(bytes)?;
        let mut references = HashMap::new();
        for section in file.sections() {
            let of = references_of(&file, &section)
                .with_context(|| format!("relocations of {}", section.name().unwrap_or("?")))?;
            references.insert(section.index(), of);
        }
        let mut functions = Vec::new();
        let mut fixed: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for symbol in file.symbols() {
            let name = symbol.name().context("a symbol's name")?;
            if symbol.section() == SymbolSection::Absolute && symbol.kind() != SymbolKind::File {
                fixed
                    .entry(symbol.address())
                    .or_default()
                    .push(name.to_owned());
            } else if symbol.kind() == SymbolKind::Text && !symbol.is_undefined() {
                // The linker's own have none: each is an entry into the next one.
                if LINKERS.iter().any(|own| name.starts_with(own)) {
                    continue;
                }
                ensure!(symbol.size() > 0, symbols::no_size(name));
                functions.push(code(&file, &symbol).with_context(|| format!("function {name}"))?);
            }
        }
        Ok(Module {
            file,
            references,
            functions,
            fixed,
        })
    }

    /// All functions that have a symbol. One function may have several.
    pub fn functions(&self) -> &[Code] {
        &self.functions
    }

    /// The function that starts at a place, at its global or its local entry.
    pub fn function_at(&self, place: Place) -> Option<&Code> {
        let enters = |code: &&Code| {
            let into = place.offset.checked_sub(code.start.offset);
            place.section == code.start.section && into.is_some_and(|i| i == 0 || i == code.local)
        };
        self.functions.iter().find(enters)
    }

    /// If a function is a stub as [`modload::stub`] makes it, and goes to a fixed address of
    /// the kernel's, the names of what is there.
    pub fn stub_target(&self, code: &Code) -> Option<&[String]> {
        let words = code.words.get(..STUB_WORDS)?;
        // The number that it loads, in four parts.
        let part = |index: usize| u64::from(words[index] & 0xffff);
        let address = part(1) << 48 | part(2) << 32 | part(4) << 16 | part(5);
        let is_stub = *words == modload::stub(address);
        is_stub
            .then(|| self.fixed.get(&address))
            .flatten()
            .map(Vec::as_slice)
    }

    /// Whether what a relocation names lies elsewhere at a fixed address: a symbol, or no more
    /// than a number.
    pub fn is_fixed(&self, name: &str) -> bool {
        name.is_empty() || self.fixed.values().flatten().any(|other| other == name)
    }

    /// The flags of the descriptor.
    pub fn flags(&self) -> Result<u32> {
        let place = self.descriptor()? + offset_of!(Info, flags) as u64;
        Ok(u32::try_from(self.number(
            self.info()?.index(),
            place,
            4,
        )?)?)
    }

    /// What the word at a place refers to.
    pub fn reference(&self, place: Place) -> Option<&Reference> {
        self.references.get(&place.section)?.get(&place.offset)
    }

    /// Name of a section.
    pub fn section_name(&self, section: SectionIndex) -> String {
        let section = self.file.section_by_index(section).ok();
        let name = section.as_ref().and_then(|section| section.name().ok());
        name.unwrap_or("?").to_owned()
    }

    /// The return convention that the descriptor names.
    pub fn convention(&self) -> Result<Convention> {
        let place = self.descriptor()? + offset_of!(Info, convention) as u64;
        let number = self.number(self.info()?.index(), place, 4)?;
        u32::try_from(number)
            .ok()
            .and_then(Convention::from_number)
            .with_context(|| format!("the descriptor names convention {number}, which is unknown"))
    }

    /// The functions that the descriptor puts in other functions' place, in the
    /// kernel and in other modules.
    pub fn replacements(&self) -> Result<Vec<&Code>> {
        let functions = self.listed()?.into_iter();
        functions
            .map(|(what, function)| {
                let to = self.pointer(field(function, offset_of!(Function, new)));
                let to = to.with_context(|| what.clone())?;
                self.function_at(to).with_context(|| {
                    format!(
                        "{what}: no function starts at {}+{:#x}",
                        self.section_name(to.section),
                        to.offset
                    )
                })
            })
            .collect()
    }

    /// The names of the functions that they replace.
    pub fn replaced(&self) -> Result<Vec<String>> {
        let functions = self.listed()?.into_iter();
        functions
            .map(|(what, function)| {
                self.text(field(function, offset_of!(Function, old)))
                    .with_context(|| what)
            })
            .collect()
    }

    /// Where the descriptor lists functions to replace, and how to speak of each entry.
    fn listed(&self) -> Result<Vec<(String, Place)>> {
        let info = Place {
            section: self.info()?.index(),
            offset: self.descriptor()?,
        };
        let objects = self.table(
            info,
            (offset_of!(Info, objects), offset_of!(Info, object_count)),
            size_of::<Object>(),
        );
        let mut found = Vec::new();
        for (index, object) in objects
            .context("the list of objects")?
            .into_iter()
            .enumerate()
        {
            let functions = self.table(
                object,
                (
                    offset_of!(Object, functions),
                    offset_of!(Object, function_count),
                ),
                size_of::<Function>(),
            );
            let functions =
                functions.with_context(|| format!("the functions of object {index}"))?;
            let count = functions.len();
            for (number, function) in functions.into_iter().enumerate() {
                let what = format!("replacement {number} of {count} in object {index}");
                found.push((what, function));
            }
        }
        Ok(found)
    }

    /// Where the entries of a table are. Its address and the number of its entries
    /// are at two offsets in a struct at `place`.
    fn table(
        &self,
        place: Place,
        (address, count): (usize, usize),
        entry: usize,
    ) -> Result<Vec<Place>> {
        let count = self.number(place.section, field(place, count).offset, 8)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let first = self.pointer(field(place, address))?;
        let size = self.file.section_by_index(first.section)?.size();
        let bytes = count.checked_mul(entry as u64);
        let end = bytes.and_then(|bytes| first.offset.checked_add(bytes));
        ensure!(
            end.is_some_and(|end| end <= size),
            "{count} entries reach past the end of {}",
            self.section_name(first.section)
        );
        let at = |index: u64| Place {
            offset: first.offset + index * entry as u64,
            ..first
        };
        Ok((0..count).map(at).collect())
    }

    fn info(&self) -> Result<ElfSection64<'data, '_, Endianness>> {
        let section = self.file.section_by_name(info::SECTION);
        section.with_context(|| format!("no section {}", info::SECTION))
    }

    /// Offset of the descriptor in its section.
    fn descriptor(&self) -> Result<u64> {
        let section = self.info()?.index();
        let mut symbols = self.file.symbols();
        let symbol =
            symbols.find(|s| s.name() == Ok(info::SYMBOL) && s.section_index() == Some(section));
        Ok(symbol
            .with_context(|| format!("no symbol {}", info::SYMBOL))?
            .address())
    }

    fn number(&self, section: SectionIndex, offset: u64, size: usize) -> Result<u64> {
        let data = self.file.section_by_index(section)?.data()?;
        let start = usize::try_from(offset)?;
        let bytes = start.checked_add(size).and_then(|end| data.get(start..end));
        let bytes = bytes.context("the descriptor is cut off")?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    /// The text that a [`klp::Text`] leads to.
    fn text(&self, place: Place) -> Result<String> {
        let length = self.number(place.section, place.offset + size_of::<u64>() as u64, 8)?;
        if length == 0 {
            return Ok(String::new());
        }
        let start = self.pointer(place)?;
        let data = self.file.section_by_index(start.section)?.data()?;
        let from = usize::try_from(start.offset)?;
        let end = from.checked_add(usize::try_from(length)?);
        let bytes = end.and_then(|end| data.get(from..end));
        let bytes = bytes.context("a text reaches past the end of its section")?;
        Ok(std::str::from_utf8(bytes)?.to_owned())
    }

    fn pointer(&self, place: Place) -> Result<Place> {
        let reference = self.reference(place).context("there is no relocation")?;
        ensure!(
            reference.kind == elf::R_PPC64_ADDR64.0,
            "relocation {} instead of R_PPC64_ADDR64",
            reference.kind
        );
        let Some(to) = reference.to else {
            bail!("`{}` is not in this module", reference.name);
        };
        Ok(to)
    }
}

/// A field of a struct.
fn field(of: Place, offset: usize) -> Place {
    Place {
        offset: of.offset.saturating_add(offset as u64),
        ..of
    }
}

fn references_of<'data>(
    file: &ElfFile64<'data, Endianness>,
    section: &ElfSection64<'data, '_, Endianness>,
) -> Result<BTreeMap<u64, Reference>> {
    let mut references = BTreeMap::new();
    for (offset, relocation) in section.relocations() {
        let RelocationFlags::Elf { r_type } = relocation.flags() else {
            bail!("a relocation without ELF flags");
        };
        let (to, name) = match relocation.target() {
            RelocationTarget::Symbol(index) => target(file, index, relocation.addend())?,
            _ => (None, String::new()),
        };
        // Of an instruction, the relocation may name the half that it changes.
        let offset = if section.kind() == object::SectionKind::Text {
            offset & !3
        } else {
            offset
        };
        references.insert(
            offset,
            Reference {
                kind: r_type.0,
                to,
                name,
                addend: relocation.addend(),
            },
        );
    }
    Ok(references)
}

fn target(
    file: &ElfFile64<'_, Endianness>,
    index: SymbolIndex,
    addend: i64,
) -> Result<(Option<Place>, String)> {
    let symbol = file.symbol_by_index(index)?;
    let name = symbol.name().unwrap_or_default().to_owned();
    let to = symbol.section_index().map(|section| Place {
        section,
        offset: symbol.address().wrapping_add_signed(addend),
    });
    Ok((to, name))
}

fn code<'data>(
    file: &ElfFile64<'data, Endianness>,
    symbol: &impl ObjectSymbol<'data>,
) -> Result<Code> {
    let section = symbol.section_index().context("it is in no section")?;
    let SymbolFlags::Elf { st_other, .. } = symbol.flags() else {
        bail!("a symbol without ELF flags");
    };
    // Of a linked file, symbols and sections have addresses.
    let in_file = file.section_by_index(section)?;
    let offset = symbol.address().checked_sub(in_file.address());
    let offset = offset.context("it begins in front of its section")?;
    let size = symbol.size();
    let data = in_file.data()?;
    let start = usize::try_from(offset)?;
    let bytes = start
        .checked_add(usize::try_from(size)?)
        .and_then(|end| data.get(start..end));
    let bytes = bytes.context("it reaches past the end of its section")?;
    ensure!(
        offset % 4 == 0 && size % 4 == 0,
        "it is not made of whole words"
    );
    let (words, _) = bytes.as_chunks();
    Ok(Code {
        name: symbol.name()?.to_owned(),
        start: Place { section, offset },
        local: u64::from(symbols::local_entry(st_other)?),
        words: words.iter().map(|&word| u32::from_le_bytes(word)).collect(),
    })
}
