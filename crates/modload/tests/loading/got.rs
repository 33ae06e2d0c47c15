//! Relocations that need more than a number: TOC, GOT, a place of their own. And
//! those that are refused.

use crate::elf::{ABSOLUTE, ADDR64, CODE, Elf, OUTSIDE, WRITTEN};
use crate::load::{BASE, DATA, load, refused};
use modload::{LoadError, Module};

#[test]
fn toc_is_the_toc_pointer() {
    let mut elf = Elf::default();
    let data = elf.section(".data", WRITTEN, &[0xff; 16]);
    elf.relocate(data, 0, 51, 0, 0);
    elf.relocate(data, 8, 51, 0, -0x8000);
    let file = elf.build();
    let memory = load(&file).unwrap();
    assert_eq!(memory.doubleword(BASE), memory.placed.toc);
    assert_eq!(memory.doubleword(BASE + 8), memory.placed.toc - 0x8000);
}

#[test]
fn data_may_be_anywhere_and_instructions_may_not() {
    let mut elf = Elf::default();
    let text = elf.section(".text", CODE, &[0; 32]);
    let outside = elf.symbol("data", OUTSIDE, 0);
    elf.relocate(text, 3, ADDR64, outside, 1);
    let file = elf.build();
    assert_eq!(load(&file).unwrap().doubleword(BASE + 3), DATA + 1);
    for kind in [10, 11, 56, 57, 63, 64, 116, 132, 133] {
        elf.sections[0].relocations[0].kind = kind;
        elf.sections[0].relocations[0].addend = 0;
        let file = elf.build();
        let error = refused(&file);
        let LoadError::Misaligned {
            value, multiple: 4, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(value, BASE + 3);
    }
}

#[test]
fn entries_of_the_got_are_shared_by_symbol_and_addend() {
    let mut elf = Elf::default();
    let text = elf.text(&[0xe862_0000; 8]); // ld r3,0(r2)
    let (data, number) = (elf.symbol("data", OUTSIDE, 0), elf.symbol("n", ABSOLUTE, 7));
    // got16_ds twice the same, other addend, other symbol, _lo_ds, _lo, _ha, got16.
    for (index, (kind, symbol, addend)) in [
        (58, data, 0),
        (58, data, 0),
        (58, data, 8),
        (58, number, -8),
        (59, data, 8),
        (15, data, 8),
        (17, data, 8),
        (14, data, 0),
    ]
    .into_iter()
    .enumerate()
    {
        elf.relocate(text, 4 * index as u64, kind, symbol, addend);
    }
    let file = elf.build();
    assert_eq!(Module::parse(&file).unwrap().got_count(), 3);
    let memory = load(&file).unwrap();
    let start = memory.placed.toc - 0x8000;
    let entries = [DATA, DATA + 8, 7_u64.wrapping_sub(8)];
    for (index, entry) in entries.into_iter().enumerate() {
        assert_eq!(memory.doubleword(start + 8 * index as u64), entry);
    }
    let fields: Vec<u32> = (0..8)
        .map(|index| memory.word(BASE + 4 * index) & 0xffff)
        .collect();
    // #ha of -0x7ff8 is 0.
    let expected = [0x8000, 0x8000, 0x8008, 0x8010, 0x8008, 0x8008, 0, 0x8000];
    assert_eq!(fields, expected);
}

#[test]
fn sixteen_bits_reach_8192_entries_of_the_got() {
    for (kind, last, fits) in [
        (58, 8191, true),
        (58, 8192, false),
        (14, 8191, true),
        (14, 8192, false),
        (59, 8192, true),
        (15, 8192, true),
        (16, 8192, true),
        (17, 8192, true),
    ] {
        let mut elf = Elf::default();
        let text = elf.text(&[0xe862_0000; 1]);
        let number = elf.symbol("number", ABSOLUTE, 0);
        for addend in 0..=last {
            // The others never overflow.
            let kind = if addend == last { kind } else { 59 };
            elf.relocate(text, 0, kind, number, addend);
        }
        let file = elf.build();
        assert_eq!(load(&file).is_ok(), fits, "type {kind}, entry {last}");
        if !fits {
            let error = refused(&file);
            let LoadError::Overflow { value: 0x8000, .. } = error else {
                panic!("{error}");
            };
        }
    }
}

/// What the other tests of this file and those of calls use.
const KNOWN: [u32; 52] = [
    0, 1, 3, 4, 5, 6, 10, 11, 14, 15, 16, 17, 24, 25, 26, 38, 39, 40, 41, 42, 43, 44, 47, 48, 49,
    50, 51, 56, 57, 58, 59, 63, 64, 109, 110, 111, 116, 118, 123, 124, 132, 133, 240, 241, 242,
    243, 244, 245, 249, 250, 251, 252,
];

#[test]
fn all_others_are_refused_by_name() {
    let mut named = 0;
    for kind in (0..300)
        .chain([u32::MAX])
        .filter(|kind| !KNOWN.contains(kind))
    {
        let mut elf = Elf::default();
        let text = elf.text(&[0; 4]);
        elf.relocate(text, 4, kind, 0, 0);
        let file = elf.build();
        let LoadError::UnknownRelocation {
            kind: found,
            name,
            section: ".text",
            offset: 4,
        } = refused(&file)
        else {
            panic!("{}", refused(&file));
        };
        assert_eq!(found, kind);
        named += usize::from(name.is_some());
    }
    // The ABI's, the two for hints on branches of either kind, and GNU's.
    assert_eq!(named, 160 - KNOWN.len());
}
