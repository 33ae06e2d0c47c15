//! Tables of symbols, names and relocations that are refused, and with which words.

use crate::elf::{Relocation, find_section, header_at};
use crate::load::load;
use crate::refusals::{changed, elf, good, section};
use modload::MAX_NAME;

#[test]
fn tables_that_are_no_good() {
    let name = "section 6 (`.symtab`)";
    section(
        ".symtab",
        56,
        &[16],
        &format!("{name}: entries of 16 bytes, expected 24"),
    );
    section(
        ".symtab",
        32,
        &[71],
        &format!("{name}: 71 bytes are no whole number of entries"),
    );
    let message = "it refers to section 99, which is not what it needs";
    section(".symtab", 40, &[99], &format!("{name}: {message}"));
    let message = "section 2 (`.data`): type 0x1, expected a table of names (0x3)";
    section(".symtab", 40, &[2], message);
    let name = "section 4 (`.rela.text`)";
    section(
        ".rela.text",
        4,
        &[9],
        &format!("{name}: relocations of type 0x9, expected rela (0x4)"),
    );
    section(
        ".rela.text",
        4,
        &[19],
        &format!("{name}: relocations of type 0x13, expected rela (0x4)"),
    );
    section(
        ".rela.text",
        32,
        &[23],
        &format!("{name}: 23 bytes are no whole number of entries"),
    );
    section(
        ".rela.text",
        56,
        &[0],
        &format!("{name}: entries of 0 bytes, expected 24"),
    );
    section(
        ".rela.text",
        40,
        &[5],
        &format!("{name}: it refers to section 5, which is not what it needs"),
    );
    section(
        ".rela.text",
        44,
        &[0],
        &format!("{name}: it relocates section 0, which does not exist"),
    );
    section(
        ".rela.text",
        44,
        &[9],
        &format!("{name}: it relocates section 9, which does not exist"),
    );
    section(
        ".rela.text",
        44,
        &[3],
        &format!("{name}: it relocates section 3, which has no bytes in the file"),
    );
}

#[test]
fn tables_of_names_that_are_no_good() {
    let file = good().build();
    let strings = header_at(&file, find_section(&file, ".strtab"));
    let at = u64::from_le_bytes(file[strings + 24..strings + 32].try_into().unwrap()) as usize;
    let name = "section 7 (`.strtab`): table of names";
    changed(
        at,
        b"x",
        &format!("{name}: expected a zero byte at either end"),
    );
    changed(
        at + 12,
        b"x",
        &format!("{name}: expected a zero byte at either end"),
    );
    changed(
        at + 2,
        b"\xff",
        &format!("{name}: not in utf-8 at offset 0x2"),
    );
    section(
        ".strtab",
        32,
        &[0],
        &format!("{name}: expected a zero byte at either end"),
    );
    elf(
        |elf| elf.symbols[1].name = "n".repeat(MAX_NAME + 1),
        &format!("{name}: a name is longer than 4096 bytes at offset 0x7"),
    );
    let mut elf = good();
    elf.symbols[1].name = "n".repeat(MAX_NAME);
    let file = elf.build();
    assert_eq!(load(&file).unwrap().placed.symbols().count(), 1);
}

#[test]
fn symbols_that_are_no_good() {
    let name = "symbol 2 (`inner`)";
    let file = good().build();
    let symbols = header_at(&file, find_section(&file, ".symtab"));
    let at = u64::from_le_bytes(file[symbols + 24..symbols + 32].try_into().unwrap()) as usize;
    changed(
        at + 48,
        &[13],
        "symbol 2 (``): its name is not in the table of names, at 0xd",
    );
    elf(
        |elf| elf.symbols[1].section = 9,
        &format!("{name}: it is in section 0x9, which does not exist"),
    );
    elf(
        |elf| elf.symbols[1].section = 0xffff,
        &format!("{name}: it is in section 0xffff, which does not exist"),
    );
    elf(
        |elf| elf.symbols[1].section = 0xfff2,
        &format!("{name}: common, and only a linker finds it a place"),
    );
    elf(
        |elf| elf.symbols[1].value = 17,
        &format!("{name}: 0x0 bytes at offset 0x11 of a section of 0x10 bytes"),
    );
    elf(
        |elf| elf.symbols[1].size = 9,
        &format!("{name}: 0x9 bytes at offset 0x8 of a section of 0x10 bytes"),
    );
    elf(
        |elf| elf.symbols[1].size = u64::MAX,
        &format!("{name}: 0xffffffffffffffff bytes at offset 0x8 of a section of 0x10 bytes"),
    );
    elf(
        |elf| elf.symbols[1].local_entry = 4,
        &format!("{name}: 0x10 bytes at offset 0x8 of a section of 0x10 bytes"),
    );
    elf(
        |elf| elf.symbols[1].local_entry = 7,
        &format!("{name}: local-entry value 7, which is reserved"),
    );
    elf(
        |elf| elf.symbols[1].info = 0x16,
        &format!("{name}: thread-local, which is not supported"),
    );
    elf(
        |elf| elf.symbols[1].info = 0x1a,
        &format!("{name}: an indirect function, which is not supported"),
    );
    elf(
        |elf| {
            elf.symbols[1].section = elf.section(".debug", 0, &[0; 8]);
            elf.symbols[1].value = 0;
        },
        &format!("{name}: needed, but its section is not loaded"),
    );
}

#[test]
fn relocations_that_are_no_good() {
    elf(
        |elf| elf.sections[1].relocations[0].kind = 67,
        "R_PPC64_TLS at .data+0x8: not supported",
    );
    elf(
        |elf| elf.sections[1].relocations[0].kind = 22,
        "R_PPC64_RELATIVE at .data+0x8: not supported",
    );
    elf(
        |elf| elf.sections[1].relocations[0].kind = 128,
        "R_PPC64_D34 at .data+0x8: not supported",
    );
    elf(
        |elf| elf.sections[1].relocations[0].kind = 777,
        "unknown relocation 777 at .data+0x8",
    );
    elf(
        |elf| elf.sections[1].relocations[0].offset = 9,
        "R_PPC64_ADDR64 at .data+0x9: the section has 0x10 bytes",
    );
    elf(
        |elf| elf.sections[1].relocations[0].offset = u64::MAX,
        "R_PPC64_ADDR64 at .data+0xffffffffffffffff: the section has 0x10 bytes",
    );
    elf(
        |elf| elf.sections[1].relocations[0].symbol = 3,
        "relocation at .data+0x8: there is no symbol 3, there are 3",
    );
    elf(
        |elf| elf.sections[0].relocations[0].addend = 8,
        "call at .text+0x0 to `outer`: addend 8, expected 0",
    );
    elf(
        |elf| elf.symbols[0].name = "out\ner".into(),
        r"unresolved symbol `out\ner`: the kernel exports no such function (`export!` beside a function exports it, and the shell's `exports` lists them)",
    );
}

#[test]
fn values_that_do_not_fit() {
    elf(
        |elf| {
            elf.sections[1].relocations[0] = Relocation {
                offset: 8,
                kind: 3,
                symbol: 2,
                addend: -1,
            }
        },
        "R_PPC64_ADDR16 at .data+0x8 (0x10001008): 0x10000007 does not fit",
    );
    elf(
        |elf| {
            elf.sections[1].relocations[0] = Relocation {
                offset: 8,
                kind: 47,
                symbol: 0,
                addend: -1,
            }
        },
        "R_PPC64_TOC16 at .data+0x8 (0x10001008): -0x10009001 does not fit",
    );
    elf(
        |elf| {
            elf.sections[1].relocations[0] = Relocation {
                offset: 8,
                kind: 57,
                symbol: 2,
                addend: 1,
            }
        },
        "R_PPC64_ADDR16_LO_DS at .data+0x8 (0x10001008): 0x10000009 is not a multiple of 4",
    );
    elf(
        |elf| elf.sections[0].bytes[4] = 1,
        "call at .text+0x0 (0x10000000) to `outer`: behind it is 0x60000001, expected a nop",
    );
    elf(
        |elf| elf.sections[0].bytes.truncate(4),
        "symbol 2 (`inner`): 0x0 bytes at offset 0x8 of a section of 0x4 bytes",
    );
    elf(
        |elf| {
            elf.sections[0].bytes.truncate(4);
            elf.symbols[1].value = 0;
        },
        "call at .text+0x0 (0x10000000) to `outer`: behind it the section ends, expected a nop",
    );
    elf(
        |elf| elf.sections[0].bytes[0] = 0,
        "branch 0x48000000 at .text+0x0 (0x10000000) to `outer`: not a call, so r2 would be lost",
    );
    elf(
        |elf| elf.sections[0].bytes[3] = 0,
        "R_PPC64_REL24 at .text+0x0 (0x10000000): 0x00000001 is no such branch",
    );
}
