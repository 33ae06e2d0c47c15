//! Prefixed instructions: data relative to the program counter, directly or through
//! the GOT, and calls by code that has no TOC. GNU ld has the last word.

use crate::compilers::{LEVELS, assemble, compile};
use crate::elf::{ABSOLUTE, CODE, Elf, OUTSIDE};
use crate::linker::{link, resolve};
use crate::load::{BASE, DATA, Memory, load, load_with, refused};
use crate::tools::Directory;
use modload::{LoadError, Module, stub};
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection};
use std::fmt::Write;

const PCREL34: u32 = 132;
const GOT_PCREL34: u32 = 133;
const GOT16_DS: u32 = 58;

/// `pld r4,0(0),1`, and an instruction that is none of these.
const PLD: [u32; 2] = [0x0410_0000, 0xe480_0000];
const NOP: u32 = 0x6000_0000;

/// A prefixed instruction: what it is without the displacement, and where that
/// leads, from its address or from 0.
fn taken_apart(address: u64, [prefix, suffix]: [u32; 2]) -> Option<([u32; 2], u64)> {
    if prefix >> 26 != 1 {
        return None;
    }
    let bits = u64::from(prefix & 0x3_ffff) << 16 | u64::from(suffix & 0xffff);
    let displacement = (bits << 30).cast_signed() >> 30;
    let base = if prefix >> 20 & 1 == 1 { address } else { 0 };
    Some((
        [prefix & !0x3_ffff, suffix & !0xffff],
        base.wrapping_add_signed(displacement),
    ))
}

#[test]
fn entries_of_the_got_are_shared_with_code_that_has_a_toc() {
    let mut elf = Elf::default();
    let text = elf.text(&[PLD, PLD, PLD, [0xe862_0000, NOP]].concat());
    let (data, number) = (elf.symbol("data", OUTSIDE, 0), elf.symbol("n", ABSOLUTE, 7));
    for (offset, kind, symbol, addend) in [
        (0, GOT_PCREL34, data, 0),
        (8, GOT_PCREL34, number, 1),
        (16, GOT_PCREL34, data, 0),
        (24, GOT16_DS, data, 0),
    ] {
        elf.relocate(text, offset, kind, symbol, addend);
    }
    let file = elf.build();
    assert_eq!(Module::parse(&file).unwrap().got_count(), 2);
    let memory = load(&file).unwrap();
    let start = memory.placed.toc - 0x8000;
    assert_eq!(
        [start, start + 8].map(|at| memory.doubleword(at)),
        [DATA, 8]
    );
    let leads = [0, 8, 16].map(|offset| {
        let at = BASE + offset;
        let words = [memory.word(at), memory.word(at + 4)];
        taken_apart(at, words)
    });
    assert_eq!(leads, [start, start + 8, start].map(|to| Some((PLD, to))));
}

#[test]
fn only_instructions_relative_to_their_address_are_made_to_be() {
    // `nop`, `bl`, and `pld` and `pla` without the bit R.
    for word in [NOP, 0x4800_0001, 0x0400_0000, 0x0600_0000] {
        for kind in [PCREL34, GOT_PCREL34] {
            let mut elf = Elf::default();
            let text = elf.text(&[word, PLD[1]]);
            let data = elf.symbol("data", OUTSIDE, 0);
            elf.relocate(text, 0, kind, data, 0);
            let file = elf.build();
            let LoadError::NotPrefixed { found, .. } = refused(&file) else {
                panic!("{}", refused(&file));
            };
            assert_eq!(found, word);
        }
    }
}

#[test]
fn none_may_cross_a_multiple_of_64_bytes() {
    for (align, offset, fits) in [
        (64, 56, true),
        (64, 60, false),
        (4, 60, false),
        (64, 64, true),
        (64, 124, false),
    ] {
        let mut elf = Elf::default();
        let mut words = [NOP; 34];
        words[offset / 4..][..2].copy_from_slice(&PLD);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let text = elf.section(".text", CODE, &bytes);
        elf.last().align = align;
        let data = elf.symbol("data", OUTSIDE, 0);
        elf.relocate(text, offset as u64, PCREL34, data, 0);
        let file = elf.build();
        assert_eq!(load(&file).is_ok(), fits, "{offset}");
        if !fits {
            let error = refused(&file);
            let LoadError::Straddles { place } = error else {
                panic!("{error}");
            };
            assert_eq!(place.address, BASE + offset as u64);
            let text = error.to_string();
            assert!(text.ends_with("crosses a multiple of 64 bytes"), "{text}");
        }
    }
}

/// Compares with what ld made. It may take an address itself where we load it from
/// the GOT, and needs no stubs. Gives how many calls leave the module, and how many
/// addresses are in our GOT.
fn compare(memory: &Memory<'_>, linked: &[u8], context: &str) -> (usize, usize) {
    let linked = ElfFile64::<LittleEndian>::parse(linked).unwrap();
    let (mut calls, mut entries) = (0, 0);
    for (name, range) in memory
        .placed
        .sections()
        .filter(|(_, range)| !range.is_empty())
    {
        let section = linked.section_by_name(name).unwrap();
        assert_eq!(section.address(), range.start, "{context} {name}");
        let data = section.data().unwrap();
        let (theirs, _) = data.as_chunks::<4>();
        let mut index = 0;
        while index < theirs.len() {
            let address = range.start + 4 * index as u64;
            let word = |index: usize| {
                let word = theirs.get(index);
                word.map_or(0, |word| u32::from_le_bytes(*word))
            };
            let (ours, theirs, suffix) = (memory.word(address), word(index), word(index + 1));
            index += 1;
            let place = format!("{context} {name} {address:#x}: {ours:08x} {theirs:08x}");
            // Data may look like anything.
            if name.starts_with(".text") && ours >> 26 == 1 {
                let ours = taken_apart(address, [ours, memory.word(address + 4)]).unwrap();
                let theirs = taken_apart(address, [theirs, suffix]).expect(&place);
                index += 1;
                if ours != theirs {
                    // `pld` of ours: of theirs `pla` or `pli` to the same register, or
                    // `pld` too, if the address is out of reach.
                    assert_eq!((ours.0[0], ours.0[1] >> 26), (PLD[0], 57), "{place}");
                    let value = if theirs.0 == ours.0 {
                        let mut sections = linked.sections();
                        let bytes = sections.find_map(|section| {
                            let bytes = section.data_range(theirs.1, 8);
                            bytes.ok().flatten()
                        });
                        u64::from_le_bytes(bytes.expect(&place).try_into().unwrap())
                    } else {
                        assert_eq!(theirs.0[0] & !(1 << 20), 0x0600_0000, "{place}");
                        let moved = 14 << 26 | ours.0[1] & 0x03e0_0000;
                        assert_eq!(theirs.0[1], moved, "{place}");
                        theirs.1
                    };
                    assert_eq!(memory.doubleword(ours.1), value, "{place}");
                    entries += 1;
                }
            } else if ours != theirs {
                let theirs = ppc64::insn::branch_target(address, theirs).expect(&place);
                let ours = memory.target(address);
                // Behind the save of r2, of which such code has none.
                let stubs = &mut memory.placed.stubs();
                assert!(stubs.any(|(_, stub)| stub + 4 == ours), "{place}");
                for (word, index) in stub(theirs.target).into_iter().zip(0..) {
                    assert_eq!(memory.word(ours - 4 + 4 * index), word, "{place}");
                }
                calls += 1;
            }
        }
    }
    (calls, entries)
}

#[test]
fn every_word_of_compiled_modules_is_as_ld_has_it() {
    let directory = Directory::new("prefixed-linker");
    for level in LEVELS {
        for merged in [false, true] {
            let context = format!("{level} {merged}");
            let mut flags = vec![level, "-mcpu=power10"];
            if merged {
                flags.extend(["-ffunction-sections", "-fdata-sections"]);
            }
            compile(&directory, &flags);
            assemble(&directory, "module", merged);
            let file = directory.read("module.o");
            let memory = load_with(&file, resolve).expect(&context);
            let linked = link(&directory, "module.o", &memory);
            let (calls, entries) = compare(&memory, &linked, &context);
            assert!((3..20).contains(&calls), "{context}: {calls} calls");
            assert!((2..20).contains(&entries), "{context}: {entries} entries");
        }
    }
}

#[test]
fn every_prefixed_instruction_is_as_ld_has_it() {
    let directory = Directory::new("prefixed-types");
    let mut source = String::from(".machine power10\n.abiversion 2\n.text\n.p2align 6\ntext:\n");
    // Addends of every size, some by chance (Marsaglia's xorshift64).
    let mut seed = 0x6b6c_706c_6162_u64;
    let mut addends = vec![0_i64, 4, -4, 0x7fff, 0x8000, -0x8000, 0x1_2345_6788];
    for round in 0..40 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        addends.push(seed.cast_signed() >> (32 + round % 24));
    }
    let mut expected = 0;
    for addend in addends {
        for line in [
            "pla 3,text",
            "pld 4,data",
            "pstd 31,bytes",
            "plwz 5,text",
            "plbz 6,bytes",
            "plhz 7,small",
            "plha 8,text",
            "plwa 9,bytes",
            "pstw 10,data",
            "pstb 11,text",
            "psth 12,bytes",
        ] {
            writeln!(source, "{line}+{addend}@pcrel").unwrap();
            // gas works out by itself what is in the same section.
            expected += u32::from(!line.ends_with("text"));
        }
    }
    source += ".data\n.quad 0\nbytes: .quad 0\n";
    directory.write("types.s", source);
    assemble(&directory, "types", false);
    let file = directory.read("types.o");
    let memory = load_with(&file, resolve).unwrap();
    let kinds: Vec<_> = memory.placed.relocations().collect();
    assert_eq!(kinds, [("R_PPC64_PCREL34", expected)]);
    let linked = link(&directory, "types.o", &memory);
    assert_eq!(compare(&memory, &linked, "types"), (0, 0));
}
