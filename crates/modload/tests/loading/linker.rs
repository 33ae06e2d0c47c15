//! GNU ld has the last word: what it makes of the same object at the same
//! addresses.

use crate::compilers::{LEVELS, MODELS, assemble, compile};
use crate::load::{BASE, Memory, load_with};
use crate::tools::Directory;
use modload::stub;
use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection};
use std::fmt::Write;

const NOP: u32 = 0x6000_0000;
const RESTORE: u32 = 0xe841_0018;

/// What is outside. The functions are in reach, so that ld needs no stubs; the
/// data is not.
const OUTSIDE: [(&str, u64); 6] = [
    ("outer", BASE + 0x80_0000),
    ("other", BASE - 0x100_0000),
    ("data", 0x1234_5678),
    ("table", 0x7654_3210_9abc_def0),
    ("small", 0x1234),
    ("number", 0x1234_5678_9abc_def0),
];

pub fn resolve(name: &str) -> Option<u64> {
    OUTSIDE
        .iter()
        .find(|(other, _)| *other == name)
        .map(|(_, address)| *address)
}

/// Links an object where a module lies.
pub fn link(directory: &Directory, object: &str, memory: &Memory<'_>) -> Vec<u8> {
    let mut script = String::from("SECTIONS {\n");
    for (name, range) in memory.placed.sections() {
        writeln!(script, "{name} {:#x} : {{ *({name}) }}", range.start).unwrap();
    }
    script += "/DISCARD/ : { *(.comment) *(.note.GNU-stack) *(.gnu.attributes) }\n}\n";
    for (name, address) in OUTSIDE {
        writeln!(script, "{name} = {address:#x};").unwrap();
    }
    directory.write("final.ld", script);
    // Without its improvements of the code.
    let args = "-T final.ld --traditional-format --no-toc-optimize --no-warn-rwx-segments \
                --entry=0 --no-check-sections -o final.elf";
    let mut args: Vec<_> = args.split_whitespace().collect();
    args.push(object);
    directory.run("ld", &args);
    directory.read("final.elf")
}

/// Compares word by word. Gives the number of calls that leave the module, which
/// are the only difference.
fn compare(memory: &Memory<'_>, linked: &[u8], context: &str) -> usize {
    let linked = ElfFile64::<LittleEndian>::parse(linked).unwrap();
    let mut calls = 0;
    for (name, range) in memory
        .placed
        .sections()
        .filter(|(_, range)| !range.is_empty())
    {
        let section = linked.section_by_name(name).unwrap();
        assert_eq!(section.address(), range.start, "{context} {name}");
        let data = section.data().unwrap();
        let ours = &memory.image[(range.start - BASE) as usize..(range.end - BASE) as usize];
        // Nothing is there for .bss.
        let ours = &ours[..data.len()];
        let (words, rest) = ours.as_chunks::<4>();
        let (their_words, their_rest) = data.as_chunks::<4>();
        assert_eq!(rest, their_rest, "{context} {name}");
        let mut words = words.iter().zip(their_words).zip(0_u64..);
        while let Some(((ours, theirs), index)) = words.next() {
            if ours == theirs {
                continue;
            }
            let address = range.start + 4 * index;
            let place = format!("{context} {name} {address:#x}: {ours:02x?} {theirs:02x?}");
            let theirs = ppc64::insn::branch_target(address, u32::from_le_bytes(*theirs));
            let theirs = theirs.expect(&place);
            let address = memory.target(address);
            assert!(
                memory.placed.stubs().any(|(_, stub)| stub == address),
                "{place}"
            );
            for (word, index) in stub(theirs.target).into_iter().zip(0..) {
                assert_eq!(memory.word(address + 4 * index), word, "{place}");
            }
            let ((ours, theirs), _) = words.next().expect(&place);
            assert_eq!(u32::from_le_bytes(*theirs), NOP, "{place}");
            assert_eq!(u32::from_le_bytes(*ours), RESTORE, "{place}");
            calls += 1;
        }
    }
    calls
}

#[test]
fn every_word_of_compiled_modules_is_as_ld_has_it() {
    let directory = Directory::new("linker");
    for model in MODELS {
        for level in LEVELS {
            for merged in [false, true] {
                let context = format!("{model} {level} {merged}");
                let model = format!("-mcmodel={model}");
                let mut flags = vec![level, &model];
                if merged {
                    flags.extend(["-ffunction-sections", "-fdata-sections"]);
                }
                compile(&directory, &flags);
                // ld takes this hint whatever one says.
                let hint = |line: &&str| line.contains("R_PPC64_ENTRY");
                let source = directory.read_text("module.s");
                let lines: Vec<_> = source.lines().filter(|line| !hint(line)).collect();
                directory.write("plain.s", lines.join("\n") + "\n");
                assemble(&directory, "module", merged);
                assemble(&directory, "plain", merged);

                let file = directory.read("module.o");
                let memory = load_with(&file, resolve).expect(&context);
                let linked = link(&directory, "plain.o", &memory);
                let calls = compare(&memory, &linked, &context);
                assert!((3..20).contains(&calls), "{context}: {calls} calls");
            }
        }
    }
}

/// All but those of branches and the GOT, with a symbol that they fit.
const TYPES: &str = "
    ADDR32:data ADDR16:small ADDR16_LO:number ADDR16_HI:data ADDR16_HA:data
    UADDR32:data UADDR16:small REL32:text REL32:toc ADDR64:number
    ADDR16_HIGHER:number ADDR16_HIGHERA:number ADDR16_HIGHEST:number
    ADDR16_HIGHESTA:number UADDR64:number REL64:number REL64:data
    TOC16:toc TOC16_LO:text TOC16_HI:text TOC16_HA:text TOC16_HI:data TOC16_HA:data
    ADDR16_DS:small ADDR16_LO_DS:number TOC16_DS:toc TOC16_LO_DS:text
    ADDR16_HIGH:number ADDR16_HIGHA:number
    REL16_HIGH:number REL16_HIGHA:number REL16_HIGHER:number REL16_HIGHERA:number
    REL16_HIGHEST:number REL16_HIGHESTA:number
    REL16:text REL16_LO:number REL16_HI:data REL16_HA:data
    TOCSAVE:text NONE:text
";

#[test]
fn every_type_of_relocation_is_as_ld_has_it() {
    let directory = Directory::new("types");
    let mut source = String::from(".abiversion 2\n.text\ntext:\n");
    let mut types = 0;
    for addend in [0, 4, 0x7ffc, -0x8000_i64] {
        for one in TYPES.split_whitespace() {
            let (kind, symbol) = one.split_once(':').unwrap();
            let is_short = ["small", "toc", "text"].contains(&symbol);
            if is_short && addend.abs() > 4 && !kind.contains("_H") && !kind.contains("_L") {
                continue;
            }
            writeln!(source, ".reloc ., R_PPC64_{kind}, {symbol}+{addend}").unwrap();
            source += ".quad 0x5a5a5a5a5a5a5a58\n";
            types += 1;
        }
    }
    // `.reloc` can't name this one.
    source += "addis 2,12,.TOC.-text@ha\naddi 2,2,.TOC.-text@l\n.quad .TOC.-., .TOC.-text\n";
    source += ".section .toc,\"aw\"\n.quad 0x1111\ntoc: .quad data, text+8, number-1\n";
    source += ".section .data,\"aw\"\n.byte 1\n.2byte 3\n.8byte data+1\n.4byte text-.\n";
    directory.write("types.s", source);
    assemble(&directory, "types", false);
    let file = directory.read("types.o");
    let memory = load_with(&file, resolve).unwrap();
    let linked = link(&directory, "types.o", &memory);
    assert_eq!(compare(&memory, &linked, "types"), 0);
    assert!(types > 130, "{types}");
}

#[test]
fn every_branch_inside_is_as_ld_has_it() {
    let directory = Directory::new("branches");
    let mut source = String::from(".abiversion 2\n.text\n");
    for (name, value) in [
        ("f0", "0"),
        ("f1", "1"),
        ("f4", "4"),
        ("f8", "8"),
        ("f64", "64"),
    ] {
        writeln!(source, ".globl {name}\n.type {name},@function\n{name}:").unwrap();
        source += &"nop\n".repeat(16);
        writeln!(source, ".localentry {name},{value}\nblr").unwrap();
    }
    for name in ["f0", "f4", "f8", "f64", "f8+4", "f64+8"] {
        for branch in ["bl", "b", "beq", "bnel"] {
            writeln!(source, "{branch} {name}\nnop").unwrap();
        }
    }
    for name in ["f0", "f1"] {
        for branch in ["bl", "b"] {
            // gas makes REL24_P9NOTOC of `@notoc` for processors before POWER10.
            writeln!(source, "{branch} {name}@notoc\nnop").unwrap();
            writeln!(source, ".reloc ., R_PPC64_REL24_NOTOC, {name}").unwrap();
            writeln!(source, "{branch} 0\nnop").unwrap();
        }
    }
    directory.write("branches.s", source);
    assemble(&directory, "branches", false);
    let file = directory.read("branches.o");
    let memory = load_with(&file, resolve).unwrap();
    let kinds: Vec<_> = memory.placed.relocations().collect();
    let expected = [
        ("R_PPC64_REL24", 12),
        ("R_PPC64_REL14", 12),
        ("R_PPC64_REL24_NOTOC", 4),
        ("R_PPC64_REL24_P9NOTOC", 4),
    ];
    assert_eq!(kinds, expected);
    let linked = link(&directory, "branches.o", &memory);
    assert_eq!(compare(&memory, &linked, "branches"), 0);
}
