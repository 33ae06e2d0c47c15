//! Where things are, and how they are found.

use crate::elf::{CODE, Elf, OUTSIDE, READ_ONLY, REL24, WRITTEN};
use crate::load::{BASE, load};
use modload::Module;
use symtab::Kind;

#[test]
fn parts_are_in_order_and_aligned() {
    let mut elf = Elf::default();
    // Not in the order of the parts.
    elf.zeros(".bss", 7);
    elf.last().align = 64;
    elf.section(".toc", WRITTEN, &[1; 16]);
    elf.section(".data", WRITTEN, &[2; 3]);
    elf.last().align = 0x1000;
    elf.section(".rodata", READ_ONLY, &[3; 5]);
    elf.last().align = 1;
    let text = elf.text(&[0x4800_0001, 0x6000_0000]);
    elf.section(".empty", CODE, &[]);
    elf.last().align = 0;
    elf.section(".debug", 0, &[9; 100]);
    let outer = elf.symbol("outer", OUTSIDE, 0);
    elf.relocate(text, 0, REL24, outer, 0);
    let file = elf.build();

    let module = Module::parse(&file).unwrap();
    assert_eq!((module.size(), module.align()), (0x2047, 0x1000));
    let memory = load(&file).unwrap();
    let found: Vec<_> = memory
        .placed
        .sections()
        .map(|(name, range)| (name, range.start - BASE, range.end - BASE))
        .collect();
    let expected = [
        (".text", 0, 8),
        (".empty", 8, 8),
        // What is read begins on a page of its own, and so does what is written.
        (".rodata", 0x1000, 0x1005),
        (".toc", 0x1100, 0x1110),
        (".data", 0x2000, 0x2003),
        (".bss", 0x2040, 0x2047),
    ];
    assert_eq!(found, expected);
    assert_eq!(memory.placed.text, BASE..BASE + 0x40);
    assert_eq!(memory.placed.constants_end, BASE + 0x1110);
    assert_eq!(memory.placed.stubs().next(), Some(("outer", BASE + 0x20)));
    assert_eq!(memory.placed.toc, BASE + 0x9100);
    assert_eq!(
        memory.placed.section(".data"),
        Some(BASE + 0x2000..BASE + 0x2003)
    );
    assert_eq!(memory.placed.section(".debug"), None);

    // Everything else is zero, whatever was there.
    let mut rest = memory.image;
    for (_, start, end) in &expected[1..5] {
        rest[*start as usize..*end as usize].fill(0);
    }
    rest[..0x40].fill(0);
    assert!(rest.iter().all(|byte| *byte == 0));
}

#[test]
fn bytes_are_the_files() {
    let mut elf = Elf::default();
    elf.section(".rodata", READ_ONLY, b"never written");
    elf.section(".data", WRITTEN, b"written");
    let file = elf.build();
    let memory = load(&file).unwrap();
    for (name, bytes) in [
        (".rodata", b"never written".as_slice()),
        (".data", b"written"),
    ] {
        let range = memory.placed.section(name).unwrap();
        let range = (range.start - BASE) as usize..(range.end - BASE) as usize;
        assert_eq!(memory.image[range], *bytes);
    }
}

#[test]
fn a_file_may_lie_anywhere() {
    let mut elf = Elf::default();
    let text = elf.text(&[0x4800_0001, 0x6000_0000]);
    let outer = elf.symbol("outer", OUTSIDE, 0);
    elf.relocate(text, 0, REL24, outer, 0);
    let file = elf.build();
    let image = load(&file).unwrap().image;
    for shift in 1..8 {
        let mut shifted = vec![0; shift];
        shifted.extend(&file);
        assert_eq!(load(&shifted[shift..]).unwrap().image, image);
    }
}

#[test]
fn without_sections_there_is_nothing_to_load() {
    let file = Elf::default().build();
    assert_eq!(Module::parse(&file).unwrap().size(), 0);
    let placed = load(&file).unwrap().placed;
    assert_eq!(placed.text, BASE..BASE);
    assert_eq!(placed.symbols().count() + placed.stubs().count(), 0);
    assert_eq!(placed.relocations().count() + placed.sections().count(), 0);
}

#[test]
fn symbols_are_found_by_name() {
    let mut elf = Elf::default();
    let text = elf.text(&[0; 8]);
    let data = elf.section(".data", WRITTEN, &[0; 16]);
    let debug = elf.section(".debug", 0, &[0; 16]);
    let local = |elf: &mut Elf, name: &str, section, value, kind| {
        elf.symbol(name, section, value);
        elf.last_symbol().info = kind;
    };
    local(&mut elf, "twice", text, 4, 2);
    local(&mut elf, "twice", text, 8, 2);
    elf.symbol("twice", text, 12);
    local(&mut elf, "hidden", text, 16, 2);
    local(&mut elf, "hidden", text, 20, 2);
    local(&mut elf, "label", text, 24, 0);
    local(&mut elf, "number", data, 8, 1);
    local(&mut elf, "mark", data, 12, 0);
    local(&mut elf, "debug", debug, 0, 1);
    local(&mut elf, "file.c", 0xfff1, 0, 4);
    local(&mut elf, "section", data, 0, 3);
    local(&mut elf, "", data, 0, 1);
    elf.symbol("outer", OUTSIDE, 0);
    elf.symbol("function", text, 0);
    elf.last_symbol().local_entry = 3;
    elf.last_symbol().size = 32;
    let file = elf.build();
    let memory = load(&file).unwrap();
    let placed = memory.placed;

    let function = placed.symbol("function").unwrap();
    assert_eq!((function.address, function.size), (BASE, 32));
    assert_eq!((function.local_entry, function.global), (8, true));
    let data = BASE + 0x1000;
    for (name, address, kind, global) in [
        ("twice", BASE + 12, Kind::Function, true),
        ("hidden", BASE + 16, Kind::Function, false),
        ("label", BASE + 24, Kind::Function, false),
        ("number", data + 8, Kind::Object, false),
        ("mark", data + 12, Kind::Object, false),
    ] {
        let found = placed.symbol(name).unwrap();
        assert_eq!((found.name, found.address), (name, address));
        assert_eq!((found.kind, found.global), (kind, global));
    }
    for name in [
        "debug",
        "file.c",
        "section",
        "outer",
        "",
        "func",
        "functions",
    ] {
        assert_eq!(placed.symbol(name), None, "{name}");
    }
    assert_eq!(placed.symbols().count(), 9);
}
