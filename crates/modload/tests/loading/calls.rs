//! Branches: inside, to the outside, from code with a TOC and without.

use crate::elf::{CODE, Elf, OUTSIDE, REL24, REL24_NOTOC};
use crate::load::{BASE, OUTER, load, load_with, refused};
use modload::{LoadError, Module, STUB_WORDS, stub};

const BL: u32 = 0x4800_0001;
const B: u32 = 0x4800_0000;
const BEQL: u32 = 0x4182_0001;
const NOP: u32 = 0x6000_0000;
const RESTORE: u32 = 0xe841_0018;
const BLR: u32 = 0x4e80_0020;
const REL14: u32 = 11;
/// As gas has it for processors before POWER10.
const REL24_P9NOTOC: u32 = 124;

/// One branch, and behind it these words. The function that it goes to is outside
/// if `local_entry` is none, or else 16 bytes into the section.
fn branch(kind: u32, words: [u32; 2], local_entry: Option<u8>) -> Elf {
    let mut elf = Elf::default();
    let mut all = words.to_vec();
    all.resize(32, BLR);
    let text = elf.text(&all);
    let symbol = match local_entry {
        None => elf.symbol("outer", OUTSIDE, 0),
        Some(_) => elf.symbol("inner", text, 16),
    };
    elf.last_symbol().local_entry = local_entry.unwrap_or(0);
    elf.relocate(text, 0, kind, symbol, 0);
    elf
}

/// Where the branch goes, and what is behind it. Where it goes is the offset of
/// an instruction in the section, or an address behind it.
fn outcome(kind: u32, words: [u32; 2], local_entry: Option<u8>) -> (u64, u32) {
    let file = branch(kind, words, local_entry).build();
    let memory = load(&file).unwrap();
    (memory.target(BASE) - BASE, memory.word(BASE + 4))
}

#[test]
fn a_stub_saves_r2_and_loads_r12() {
    // As GNU as 2.40 assembles it.
    let words = [
        0xf841_0018, // std r2,24(r1)
        0x3d80_c000, // lis r12,-16384
        0x618c_1234, // ori r12,r12,0x1234
        0x798c_07c6, // sldi r12,r12,32
        0x658c_5678, // oris r12,r12,0x5678
        0x618c_9abc, // ori r12,r12,0x9abc
        0x7d89_03a6, // mtctr r12
        0x4e80_0420, // bctr
    ];
    assert_eq!(stub(OUTER), words);
    let file = branch(REL24, [BL, NOP], None).build();
    let memory = load(&file).unwrap();
    let address = BASE + 128;
    assert_eq!(memory.target(BASE), address);
    for (index, word) in words.into_iter().enumerate() {
        assert_eq!(memory.word(address + 4 * index as u64), word);
    }
    assert_eq!(
        memory.placed.stubs().collect::<Vec<_>>(),
        [("outer", address)]
    );
    assert_eq!(memory.placed.text, BASE..address + 4 * STUB_WORDS as u64);
}

#[test]
fn with_a_toc_the_outside_is_behind_a_stub_and_a_restore() {
    assert_eq!(outcome(REL24, [BL, NOP], None), (128, RESTORE));
    // A function that does not keep r2 is no better.
    assert_eq!(outcome(REL24, [BL, NOP], Some(1)), (128, RESTORE));
}

#[test]
fn without_a_toc_nothing_is_saved_or_restored() {
    assert_eq!(outcome(REL24_NOTOC, [BL, NOP], None), (132, NOP));
    for kind in [REL24_NOTOC, REL24_P9NOTOC] {
        assert_eq!(outcome(kind, [BL, BLR], None), (132, BLR));
        assert_eq!(outcome(kind, [B, BLR], None), (132, BLR));
    }
    // r12 is for the global entry point, which finds the TOC with it.
    for value in 2..=6 {
        let file = branch(REL24_NOTOC, [B, BLR], Some(value)).build();
        let memory = load(&file).unwrap();
        assert_eq!(memory.target(BASE), BASE + 132);
        let words = std::array::from_fn(|index| memory.word(BASE + 128 + 4 * index as u64));
        assert_eq!(words, stub(BASE + 16));
        assert_eq!(
            memory.placed.stubs().collect::<Vec<_>>(),
            [("inner", BASE + 128)]
        );
    }
    // A function that needs no TOC is called directly.
    for value in [0, 1] {
        assert_eq!(outcome(REL24_NOTOC, [BL, BLR], Some(value)), (16, BLR));
    }
}

#[test]
fn inside_calls_go_to_the_local_entry() {
    for (value, bytes) in [(0, 0), (2, 4), (3, 8), (4, 16), (5, 32), (6, 64)] {
        for kind in [REL24, REL14] {
            let word = if kind == REL14 { BEQL } else { BL };
            assert_eq!(outcome(kind, [word, BLR], Some(value)), (16 + bytes, BLR));
        }
        assert_eq!(outcome(REL24, [B, NOP], Some(value)), (16 + bytes, NOP));
    }
    // The addend counts from there, as GNU ld has it.
    let mut elf = branch(REL24, [BL, BLR], Some(3));
    elf.sections[0].relocations[0].addend = 4;
    let file = elf.build();
    assert_eq!(load(&file).unwrap().target(BASE), BASE + 16 + 8 + 4);
}

#[test]
fn both_kinds_of_calls_share_a_stub() {
    let mut elf = Elf::default();
    let text = elf.text(&[BL, NOP, BL, NOP, BL, NOP, BL, NOP]);
    let (outer, other) = (
        elf.symbol("outer", OUTSIDE, 0),
        elf.symbol("other", OUTSIDE, 0),
    );
    for (offset, kind, symbol) in [
        (0, REL24, outer),
        (8, REL24_NOTOC, outer),
        (16, REL24, outer),
        (24, REL24, other),
    ] {
        elf.relocate(text, offset, kind, symbol, 0);
    }
    let file = elf.build();
    let module = Module::parse(&file).unwrap();
    assert_eq!((module.stub_count(), module.relocation_count()), (2, 4));
    assert_eq!(module.undefined().collect::<Vec<_>>(), ["outer", "other"]);
    let mut asked = Vec::new();
    let memory = load_with(&file, |name| {
        asked.push(name.to_owned());
        Some(0x1_0000)
    })
    .unwrap();
    assert_eq!(asked, ["outer", "other"]);
    let targets = [0, 8, 16, 24].map(|offset| memory.target(BASE + offset) - BASE);
    assert_eq!(targets, [32, 36, 32, 64]);
    let behind = [4, 12, 20, 28].map(|offset| memory.word(BASE + offset));
    assert_eq!(behind, [RESTORE, NOP, RESTORE, RESTORE]);
    let kinds: Vec<_> = memory.placed.relocations().collect();
    assert_eq!(kinds, [("R_PPC64_REL24", 3), ("R_PPC64_REL24_NOTOC", 1)]);
}

#[test]
fn a_call_without_nop_is_refused() {
    for (local_entry, name) in [(None, "outer"), (Some(1), "inner")] {
        let file = branch(REL24, [BL, BLR], local_entry).build();
        let LoadError::NoNop {
            place,
            found: Some(BLR),
            name: found,
        } = refused(&file)
        else {
            panic!("{}", refused(&file));
        };
        assert_eq!((place.offset, place.address, found), (0, BASE, name));
    }
    // At the end of a section, though another one with a nop comes next.
    let mut elf = branch(REL24, [BL, BLR], None);
    elf.sections[0].bytes.truncate(4);
    elf.sections[0].align = 4;
    elf.section(".text.next", CODE, &NOP.to_le_bytes());
    elf.last().align = 4;
    let file = elf.build();
    let LoadError::NoNop { found: None, .. } = refused(&file) else {
        panic!("{}", refused(&file));
    };
}

#[test]
fn a_branch_that_is_no_call_must_not_lose_r2() {
    for (kind, word) in [(REL24, B), (REL14, BEQL), (REL14, BEQL - 1)] {
        for (local_entry, name) in [(None, "outer"), (Some(1), "inner")] {
            let file = branch(kind, [word, NOP], local_entry).build();
            let LoadError::NotACall {
                found,
                name: called,
                ..
            } = refused(&file)
            else {
                panic!("{}", refused(&file));
            };
            assert_eq!((found, called), (word, name));
        }
    }
}

#[test]
fn only_branches_are_made_to_branch() {
    // nop, ba, bla; for conditional ones bl, beqa.
    for (kind, word) in [
        (REL24, NOP),
        (REL24, B | 2),
        (REL24, BL | 2),
        (REL24, BEQL),
        (REL24_NOTOC, BEQL),
        (REL14, BL),
        (REL14, BEQL | 2),
    ] {
        let file = branch(kind, [word, NOP], Some(0)).build();
        let LoadError::NotABranch { found, .. } = refused(&file) else {
            panic!("{}", refused(&file));
        };
        assert_eq!(found, word);
    }
}

#[test]
fn a_stub_has_no_room_for_an_addend() {
    for kind in [REL24, REL24_NOTOC] {
        let mut elf = branch(kind, [BL, NOP], None);
        elf.sections[0].relocations[0].addend = -4;
        let file = elf.build();
        let expected = LoadError::Addend {
            name: "outer",
            section: ".text",
            offset: 0,
            addend: -4,
        };
        assert_eq!(refused(&file), expected);
    }
}

#[test]
fn weak_symbols_may_be_missing_unless_they_are_called() {
    let weak = object::elf::STB_WEAK.0 << 4;
    let mut elf = Elf::default();
    let text = elf.text(&[BL, NOP, 0, 0]);
    let symbol = elf.symbol("missing", OUTSIDE, 0);
    elf.last_symbol().info = weak;
    elf.relocate(text, 8, 38, symbol, 5);
    let file = elf.build();
    assert_eq!(load(&file).unwrap().doubleword(BASE + 8), 5);
    // If it is defined elsewhere, it is as good as any other.
    let memory = load_with(&file, |_| Some(0x100)).unwrap();
    assert_eq!(memory.doubleword(BASE + 8), 0x105);
    elf.relocate(text, 0, REL24, symbol, 0);
    let file = elf.build();
    assert_eq!(refused(&file), LoadError::Unresolved { name: "missing" });
}

#[test]
fn what_nothing_refers_to_needs_no_definition() {
    let mut elf = branch(REL24, [BL, BLR], Some(0));
    elf.symbol("missing", OUTSIDE, 0);
    let file = elf.build();
    assert_eq!(Module::parse(&file).unwrap().undefined().count(), 0);
    load_with(&file, |name| panic!("asked for {name}")).unwrap();
}
