//! Relocatable files made by hand, good ones and bad ones.

use object::elf::*;

pub const CODE: u64 = SHF_ALLOC.0 | SHF_EXECINSTR.0;
pub const READ_ONLY: u64 = SHF_ALLOC.0;
pub const WRITTEN: u64 = SHF_ALLOC.0 | SHF_WRITE.0;

/// `st_shndx` of a symbol that is elsewhere, and of one that is a number.
pub const OUTSIDE: u16 = 0;
pub const ABSOLUTE: u16 = 0xfff1;

/// Numbers of the relocations that are used by many tests.
pub const ADDR64: u32 = 38;
pub const REL24: u32 = 10;
pub const REL24_NOTOC: u32 = 116;

#[derive(Clone, Debug)]
pub struct Section {
    pub name: &'static str,
    pub kind: u32,
    pub flags: u64,
    pub align: u64,
    pub bytes: Vec<u8>,
    /// `sh_size`, if it is not that of the bytes.
    pub size: Option<u64>,
    pub relocations: Vec<Relocation>,
}

#[derive(Clone, Copy, Debug)]
pub struct Relocation {
    pub offset: u64,
    pub kind: u32,
    pub symbol: u32,
    pub addend: i64,
}

#[derive(Clone, Debug)]
pub struct Symbol {
    pub name: String,
    pub section: u16,
    pub value: u64,
    pub size: u64,
    /// `st_info`: binding and type.
    pub info: u8,
    /// The local-entry value.
    pub local_entry: u8,
}

/// A file to be: sections are numbered from 1 on in their order, as are symbols.
#[derive(Clone, Debug, Default)]
pub struct Elf {
    pub sections: Vec<Section>,
    pub symbols: Vec<Symbol>,
}

impl Elf {
    pub fn section(&mut self, name: &'static str, flags: u64, bytes: &[u8]) -> u16 {
        self.sections.push(Section {
            name,
            kind: SHT_PROGBITS.0,
            flags,
            align: 8,
            bytes: bytes.to_vec(),
            size: None,
            relocations: Vec::new(),
        });
        self.sections.len() as u16
    }

    pub fn text(&mut self, words: &[u32]) -> u16 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.section(".text", CODE, &bytes)
    }

    pub fn zeros(&mut self, name: &'static str, size: u64) -> u16 {
        let number = self.section(name, WRITTEN, &[]);
        self.last().kind = SHT_NOBITS.0;
        self.last().size = Some(size);
        number
    }

    pub fn last(&mut self) -> &mut Section {
        self.sections.last_mut().unwrap()
    }

    /// A global function.
    pub fn symbol(&mut self, name: &str, section: u16, value: u64) -> u32 {
        self.symbols.push(Symbol {
            name: name.into(),
            section,
            value,
            size: 0,
            info: STB_GLOBAL.0 << 4 | STT_FUNC.0,
            local_entry: 0,
        });
        self.symbols.len() as u32
    }

    pub fn last_symbol(&mut self) -> &mut Symbol {
        self.symbols.last_mut().unwrap()
    }

    pub fn relocate(&mut self, section: u16, offset: u64, kind: u32, symbol: u32, addend: i64) {
        self.sections[usize::from(section) - 1]
            .relocations
            .push(Relocation {
                offset,
                kind,
                symbol,
                addend,
            });
    }

    /// The file: header, contents, section headers.
    pub fn build(&self) -> Vec<u8> {
        let mut file = vec![0; 64];
        let mut headers = vec![Header::default()];
        let mut names = vec![0];
        let relocated = self.sections.iter().zip(1..);
        let relocated = relocated.filter(|(section, _)| !section.relocations.is_empty());
        let symbols_at = 1 + self.sections.len() + relocated.clone().count();

        for section in &self.sections {
            headers.push(Header {
                name: intern(&mut names, section.name),
                kind: section.kind,
                flags: section.flags,
                offset: append(&mut file, &section.bytes, 8),
                size: section.size.unwrap_or(section.bytes.len() as u64),
                align: section.align,
                ..Header::default()
            });
        }
        for (section, number) in relocated {
            let mut bytes = Vec::new();
            for one in &section.relocations {
                bytes.extend(one.offset.to_le_bytes());
                bytes.extend((u64::from(one.symbol) << 32 | u64::from(one.kind)).to_le_bytes());
                bytes.extend(one.addend.to_le_bytes());
            }
            headers.push(Header {
                name: intern(&mut names, &format!(".rela{}", section.name)),
                kind: SHT_RELA.0,
                offset: append(&mut file, &bytes, 8),
                size: bytes.len() as u64,
                link: symbols_at as u32,
                info: number,
                align: 8,
                entry: 24,
                ..Header::default()
            });
        }
        self.add_symbols(&mut file, &mut headers, &mut names);
        finish(file, headers, names)
    }

    fn add_symbols(&self, file: &mut Vec<u8>, headers: &mut Vec<Header>, names: &mut Vec<u8>) {
        let (mut bytes, mut strings) = (vec![0; 24], vec![0]);
        for symbol in &self.symbols {
            bytes.extend(intern(&mut strings, &symbol.name).to_le_bytes());
            bytes.push(symbol.info);
            bytes.push(symbol.local_entry << 5);
            bytes.extend(symbol.section.to_le_bytes());
            bytes.extend(symbol.value.to_le_bytes());
            bytes.extend(symbol.size.to_le_bytes());
        }
        headers.push(Header {
            name: intern(names, ".symtab"),
            kind: SHT_SYMTAB.0,
            offset: append(file, &bytes, 8),
            size: bytes.len() as u64,
            link: headers.len() as u32 + 1,
            info: 1,
            align: 8,
            entry: 24,
            ..Header::default()
        });
        headers.push(Header {
            name: intern(names, ".strtab"),
            kind: SHT_STRTAB.0,
            offset: append(file, &strings, 1),
            size: strings.len() as u64,
            align: 1,
            ..Header::default()
        });
    }
}

#[derive(Default)]
struct Header {
    name: u32,
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entry: u64,
}

/// Adds the names and the section headers, and fills the ELF header.
fn finish(mut file: Vec<u8>, mut headers: Vec<Header>, mut names: Vec<u8>) -> Vec<u8> {
    let name = intern(&mut names, ".shstrtab");
    headers.push(Header {
        name,
        kind: SHT_STRTAB.0,
        offset: append(&mut file, &names, 1),
        size: names.len() as u64,
        align: 1,
        ..Header::default()
    });
    let table = append(&mut file, &[], 8);
    for header in &headers {
        file.extend(header.name.to_le_bytes());
        file.extend(header.kind.to_le_bytes());
        file.extend(header.flags.to_le_bytes());
        file.extend(0_u64.to_le_bytes());
        file.extend(header.offset.to_le_bytes());
        file.extend(header.size.to_le_bytes());
        file.extend(header.link.to_le_bytes());
        file.extend(header.info.to_le_bytes());
        file.extend(header.align.to_le_bytes());
        file.extend(header.entry.to_le_bytes());
    }
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    put(&mut file, 16, &1_u16.to_le_bytes());
    put(&mut file, 18, &21_u16.to_le_bytes());
    put(&mut file, 20, &1_u32.to_le_bytes());
    put(&mut file, 40, &table.to_le_bytes());
    put(&mut file, 48, &2_u32.to_le_bytes());
    put(&mut file, 52, &64_u16.to_le_bytes());
    put(&mut file, 58, &64_u16.to_le_bytes());
    put(&mut file, 60, &(headers.len() as u16).to_le_bytes());
    put(&mut file, 62, &(headers.len() as u16 - 1).to_le_bytes());
    file
}

fn intern(names: &mut Vec<u8>, name: &str) -> u32 {
    let at = names.len() as u32;
    names.extend(name.bytes());
    names.push(0);
    at
}

fn append(file: &mut Vec<u8>, bytes: &[u8], align: usize) -> u64 {
    file.resize(file.len().next_multiple_of(align), 0);
    let at = file.len() as u64;
    file.extend(bytes);
    at
}

pub fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Where the header of a section is, in a file that [`Elf::build`] made or any
/// other good one.
pub fn header_at(file: &[u8], section: usize) -> usize {
    u64::from_le_bytes(file[40..48].try_into().unwrap()) as usize + 64 * section
}

/// The number of the section of that name.
pub fn find_section(file: &[u8], name: &str) -> usize {
    let count = usize::from(u16::from_le_bytes([file[60], file[61]]));
    let strings = usize::from(u16::from_le_bytes([file[62], file[63]]));
    let number = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
    let strings = number(header_at(file, strings) + 24);
    (0..count)
        .find(|index| {
            let at = header_at(file, *index);
            let at = strings + u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
            file[at..].starts_with(name.as_bytes()) && file[at + name.len()] == 0
        })
        .unwrap_or_else(|| panic!("no section {name}"))
}
