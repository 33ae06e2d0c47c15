//! Files that are refused, and with which words. Tables that are wrong inside are
//! in `tables`, branches in `calls`.

use crate::elf::{
    ADDR64, CODE, Elf, OUTSIDE, READ_ONLY, REL24, WRITTEN, find_section, header_at, put,
};
use crate::load::{BASE, load, refused};
use modload::{LoadError, MAX_SIZE, Module};
use object::elf::{SHT_FINI_ARRAY, SHT_INIT_ARRAY, SHT_PREINIT_ARRAY, SHT_PROGBITS};

/// A module with a bit of everything: its call is at 0, its address at 8 of data.
pub fn good() -> Elf {
    let mut elf = Elf::default();
    let text = elf.text(&[0x4800_0001, 0x6000_0000, 0x4e80_0020, 0]);
    let data = elf.section(".data", WRITTEN, &[0; 16]);
    elf.zeros(".bss", 100);
    let outer = elf.symbol("outer", OUTSIDE, 0);
    let inner = elf.symbol("inner", text, 8);
    elf.relocate(text, 0, REL24, outer, 0);
    elf.relocate(data, 8, ADDR64, inner, 0);
    elf
}

pub fn says(file: &[u8], expected: &str) {
    let found = refused(file).to_string();
    assert_eq!(found, expected);
    assert!(!found.contains('\n'));
}

/// Changes the good file at an offset.
pub fn changed(at: usize, bytes: &[u8], expected: &str) {
    let mut file = good().build();
    put(&mut file, at, bytes);
    says(&file, expected);
}

/// Changes a field of the header of a section.
pub fn section(name: &str, field: usize, bytes: &[u8], expected: &str) {
    let file = good().build();
    changed(
        header_at(&file, find_section(&file, name)) + field,
        bytes,
        expected,
    );
}

/// Changes the good module.
pub fn elf(change: impl FnOnce(&mut Elf), expected: &str) {
    let mut elf = good();
    change(&mut elf);
    says(&elf.build(), expected);
}

#[test]
fn the_good_one_is_good() {
    let file = good().build();
    assert_eq!(load(&file).unwrap().doubleword(BASE + 0x1008), BASE + 8);
}

#[test]
fn files_of_another_kind() {
    says(
        b"",
        "truncated: the elf header ends at 0x40, the file at 0x0",
    );
    says(
        b"\x7fEL",
        "truncated: the elf header ends at 0x40, the file at 0x3",
    );
    says(
        b"#!/b",
        r"not an elf file: starts with `#!/b`, expected `\x7fELF`",
    );
    says(
        b"?",
        r"not an elf file: starts with `?`, expected `\x7fELF`",
    );
    changed(4, &[1], "elf class 1, expected 2 (64 bits)");
    changed(5, &[2], "elf byte order 2, expected 1 (little endian)");
    changed(6, &[0], "the elf version is 0, expected 1");
    changed(16, &[2], "elf type 2, expected 1 (relocatable)");
    changed(18, &[62], "elf machine 62, expected 21 (ppc64)");
    changed(20, &[2], "the file version is 2, expected 1");
    changed(
        48,
        &[0],
        "abi version 0x0 (unspecified), expected 2 (elfv2)",
    );
    changed(
        48,
        &[1],
        "abi version 0x1 (function descriptors), expected 2 (elfv2)",
    );
    changed(48, &[3], "abi version 0x3, expected 2 (elfv2)");
    changed(50, &[1], "abi version 0x10002, expected 2 (elfv2)");
}

#[test]
fn headers_that_make_no_sense() {
    changed(58, &[40], "the size of a section header is 40, expected 64");
    changed(
        60,
        &[0, 0],
        "the number of sections is 0, expected 1 to 65279",
    );
    changed(
        60,
        &[0, 0xff],
        "the number of sections is 65280, expected 1 to 65279",
    );
    let what = "the number of the section of names";
    changed(
        62,
        &[0],
        &format!("{what} is 0, expected that of a section"),
    );
    changed(
        62,
        &[9],
        &format!("{what} is 9, expected that of a section"),
    );
    changed(
        40,
        &u64::MAX.to_le_bytes(),
        "truncated: the table of sections ends at 0xffffffffffffffff, the file at 0x368",
    );
    section(
        ".symtab",
        4,
        &[1],
        "the number of symbol tables is 0, expected 1",
    );
    section(
        ".shstrtab",
        4,
        &[2],
        "section 8: type 0x2, expected a table of names (0x3)",
    );
}

#[test]
fn sections_that_are_not_in_the_file() {
    let end = "ends at 0xffffffffffffffff, the file at 0x368";
    section(
        ".data",
        24,
        &(u64::MAX - 1).to_le_bytes(),
        &format!("truncated: section 2 {end}"),
    );
    section(
        ".text",
        32,
        &u64::MAX.to_le_bytes(),
        &format!("truncated: section 1 {end}"),
    );
    section(
        ".symtab",
        32,
        &[0, 9],
        "truncated: section 6 ends at 0x990, the file at 0x368",
    );
}

#[test]
fn sections_that_share_bytes() {
    let message = "section 1 (`.text`) and section 2 (`.data`) share bytes of the file";
    section(".data", 24, &[0x4f], message);
    let message = "the elf header and section 1 (`.text`) share bytes of the file";
    section(".text", 24, &[0x3f], message);
    let file = good().build();
    let table = header_at(&file, 0);
    let message = "the table of sections and section 2 (`.data`) share bytes of the file";
    section(".data", 24, &(table as u64 + 64).to_le_bytes(), message);
}

#[test]
fn sections_that_are_no_good() {
    section(
        ".data",
        0,
        &[200],
        "section 2: its name is not in the table of names, at 0xc8",
    );
    section(
        ".data",
        4,
        &[6],
        "section 2 (`.data`): a section of type 0x6 can't be loaded",
    );
    section(
        ".data",
        9,
        &[4 | 8],
        "section 2 (`.data`): compressed, which is not supported",
    );
    section(
        ".data",
        9,
        &[4],
        "section 2 (`.data`): thread-local, which is not supported",
    );
    let message = "expected a power of two up to 0x10000";
    section(
        ".data",
        48,
        &[12],
        &format!("section 2 (`.data`): alignment 0xc, {message}"),
    );
    section(
        ".bss",
        48,
        &[0, 0, 2],
        &format!("section 3 (`.bss`): alignment 0x20000, {message}"),
    );
}

/// Nothing would run them, and what they set up would not be.
#[test]
fn constructors_and_destructors() {
    let message = "constructors or destructors, which the kernel would never run";
    for (name, kind) in [
        (".init_array", SHT_INIT_ARRAY),
        (".preinit_array", SHT_PREINIT_ARRAY),
        (".fini_array", SHT_FINI_ARRAY),
        // By a linker script of one's own.
        (".data.rel.ro", SHT_INIT_ARRAY),
        // With a priority.
        (".init_array.00100", SHT_PROGBITS),
        (".ctors", SHT_PROGBITS),
        (".ctors.65435", SHT_PROGBITS),
        (".dtors", SHT_PROGBITS),
        (".init", SHT_PROGBITS),
        (".fini", SHT_PROGBITS),
    ] {
        let add = |elf: &mut Elf, size: usize| {
            elf.section(name, WRITTEN, &[0; 8][..size]);
            elf.last().kind = kind.0;
        };
        elf(
            |elf| add(elf, 8),
            &format!("section 4 (`{name}`): {message}"),
        );
        // There is none in it.
        let mut empty = good();
        add(&mut empty, 0);
        load(&empty.build()).unwrap();
        // It is not loaded, so no promise is broken.
        let mut not_loaded = good();
        add(&mut not_loaded, 8);
        not_loaded.last().flags = 0;
        load(&not_loaded.build()).unwrap();
    }
    for name in [".initial", ".data.init", ".ctorsx"] {
        let mut other = good();
        other.section(name, WRITTEN, &[0; 8]);
        load(&other.build()).unwrap();
    }
}

#[test]
fn modules_that_are_too_large() {
    let most = "needs 0x4000001 bytes of memory, allowed are 0x4000000";
    let mut elf = Elf::default();
    elf.zeros(".bss", MAX_SIZE);
    assert_eq!(
        Module::parse(&elf.build()).unwrap().size(),
        MAX_SIZE as usize
    );
    elf.sections[0].size = Some(MAX_SIZE + 1);
    says(&elf.build(), most);
    elf.sections[0].size = Some(MAX_SIZE);
    elf.section(".text", CODE, &[0]);
    elf.last().align = 1;
    // Text comes first, and .bss on another page.
    says(
        &elf.build(),
        "needs 0x4001000 bytes of memory, allowed are 0x4000000",
    );
    elf.sections[0].size = Some(u64::MAX);
    says(
        &elf.build(),
        "needs 0xffffffffffffffff bytes of memory, allowed are 0x4000000",
    );
    // Many small ones with large gaps.
    let mut elf = Elf::default();
    for _ in 0..1026 {
        elf.section(".rodata", READ_ONLY, &[0]);
        elf.last().align = 0x1_0000;
    }
    says(&elf.build(), most);
}

#[test]
fn memory_that_is_not_what_was_asked_for() {
    let file = good().build();
    let module = Module::parse(&file).unwrap();
    let mut image = vec![0; module.size() + 1];
    let error = module.place(BASE, &mut image, |_| None).unwrap_err();
    let size = module.size();
    assert_eq!(
        error.to_string(),
        format!("{} bytes of memory given, expected {size}", size + 1)
    );
    let image = &mut image[..size];
    for base in [BASE + 8, u64::MAX - 0xfff] {
        let error = module.place(base, image, |_| None).unwrap_err();
        let end = "expected a multiple of 0x1000, and an end";
        assert_eq!(
            error.to_string(),
            format!("{size:#x} bytes can't be at {base:#x}: {end}")
        );
    }
    // The very last addresses will do, though the TOC pointer wraps around.
    let base = u64::MAX - 0x1fff;
    let placed = module.place(base, image, |_| Some(0)).unwrap();
    assert_eq!(placed.toc, 0x7000);
}

#[test]
fn no_memory_is_an_error_too() {
    let error = LoadError::NoMemory { bytes: 24 };
    assert_eq!(error.to_string(), "no memory for 24 bytes");
}
