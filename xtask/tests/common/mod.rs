//! A small ELF file that looks like a linked kernel.

use object::elf::{STB_GLOBAL, STT_FUNC, STT_OBJECT, SymbolInfo, SymbolOther, SymbolType};
use object::write::{Object, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

/// An ELF file with two functions, an object and a label, and a `.ksyms`
/// section of so many bytes, if it is to have one.
pub fn kernel(architecture: Architecture, endian: Endianness, reserve: Option<usize>) -> Vec<u8> {
    let symbols = [
        ("plain", 0, STT_FUNC, 0),
        ("with_toc", 16, STT_FUNC, 3),
        ("table", 32, STT_OBJECT, 0),
        ("label", 48, SymbolType(0), 0),
    ];
    with_symbols(architecture, endian, reserve, &symbols)
}

/// The same with these symbols: name, address, type, local-entry bits.
pub fn with_symbols(
    architecture: Architecture,
    endian: Endianness,
    reserve: Option<usize>,
    symbols: &[(&str, u64, SymbolType, u8)],
) -> Vec<u8> {
    let mut elf = Object::new(BinaryFormat::Elf, architecture, endian);
    let text = elf.add_section(Vec::new(), b".text".to_vec(), SectionKind::Text);
    elf.append_section_data(text, &[0; 64], 8);
    if let Some(size) = reserve {
        let table = elf.add_section(Vec::new(), b".ksyms".to_vec(), SectionKind::ReadOnlyData);
        elf.append_section_data(table, &vec![0xee; size], 8);
    }
    for &(name, value, kind, local) in symbols {
        elf.add_symbol(Symbol {
            name: name.into(),
            value,
            size: 16,
            kind: SymbolKind::Unknown,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(text),
            flags: SymbolFlags::Elf {
                st_info: SymbolInfo::new(STB_GLOBAL, kind),
                st_other: SymbolOther(0).ppc64_with_local(local),
            },
        });
    }
    elf.write().unwrap()
}
