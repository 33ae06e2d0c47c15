//! Modules as the compiler makes them.

use crate::load::{BASE, load_with, refused};
use crate::tools::Directory;
use modload::{Module, PROFILE};
use std::fs;

pub const MODELS: [&str; 3] = ["small", "medium", "large"];
pub const LEVELS: [&str; 5] = ["-O0", "-O1", "-O2", "-O3", "-Os"];

/// What collects the sections of functions and data.
const MERGE: &str = "SECTIONS {
    .text : { *(.text .text.*) }
    .rodata : { *(.rodata .rodata.*) }
    .data : { *(.data .data.*) }
    .toc : { *(.toc) }
    .bss : { *(.bss .bss.*) }
}";

/// Compiles to assembly, `module.s`.
pub fn compile(directory: &Directory, flags: &[&str]) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/loading/module.c");
    fs::copy(source, directory.path("module.c")).unwrap();
    let mut args = vec!["-S", "-ffreestanding", "-fno-common", "module.c"];
    args.extend(flags);
    directory.run("gcc", &args);
}

/// Makes a module of assembly. `merged` collects its sections.
pub fn assemble(directory: &Directory, name: &str, merged: bool) {
    let (source, object) = (format!("{name}.s"), format!("{name}.obj"));
    directory.run("as", &["-o", &object, &source]);
    directory.write("merge.ld", MERGE);
    let output = format!("{name}.o");
    // gcc -Os leaves saving and restoring registers to functions of ld's.
    let mut args = vec!["-r", "--save-restore-funcs", "-o", &output, &object];
    if merged {
        args.extend(["-T", "merge.ld"]);
    }
    directory.run("ld", &args);
}

pub fn module(directory: &Directory, flags: &[&str]) -> Vec<u8> {
    compile(directory, flags);
    assemble(directory, "module", false);
    directory.read("module.o")
}

#[test]
fn every_level_and_model_loads() {
    let directory = Directory::new("compilers");
    for (model, needed) in MODELS.into_iter().zip([
        ["R_PPC64_REL16_HA", "R_PPC64_REL16_LO", "R_PPC64_TOC16_DS"],
        [
            "R_PPC64_TOC16_HA",
            "R_PPC64_TOC16_LO",
            "R_PPC64_TOC16_LO_DS",
        ],
        ["R_PPC64_REL64", "R_PPC64_ENTRY", "R_PPC64_TOC16_LO_DS"],
    ]) {
        for level in LEVELS {
            let file = module(&directory, &[level, &format!("-mcmodel={model}")]);
            let checked = Module::parse(&file).unwrap();
            let mut undefined: Vec<_> = checked.undefined().collect();
            undefined.sort_unstable();
            assert_eq!(undefined, ["data", "missing", "other", "outer", "table"]);
            assert_eq!(checked.stub_count(), 2);
            let memory = load_with(&file, |name| match name {
                "missing" => None,
                name => Some(0x1_0000 * name.len() as u64),
            })
            .unwrap();
            let kinds: Vec<_> = memory.placed.relocations().map(|(name, _)| name).collect();
            for name in needed
                .into_iter()
                .chain(["R_PPC64_ADDR64", "R_PPC64_REL24"])
            {
                assert!(
                    kinds.contains(&name),
                    "{model} {level}: {kinds:?} lack {name}"
                );
            }
            let entry = memory.placed.symbol("entry").unwrap();
            assert!(memory.placed.text.contains(&entry.address));
            assert_eq!(entry.local_entry, 8);
            let functions = memory.placed.symbol("functions").unwrap();
            assert_eq!(memory.doubleword(functions.address), entry.address);
            assert_eq!(memory.doubleword(functions.address + 8), 0x5_0000);
            assert!(memory.placed.section(".text").unwrap().start == BASE);
        }
    }
}

#[test]
fn code_for_power10_loads_with_a_toc_and_without() {
    let directory = Directory::new("prefixed");
    for level in LEVELS {
        let file = module(&directory, &[level, "-mcpu=power10"]);
        let memory = load_with(&file, |name| Some(0x1_0000 * name.len() as u64)).unwrap();
        let kinds: Vec<_> = memory.placed.relocations().map(|(name, _)| name).collect();
        for name in [
            "R_PPC64_PCREL34",
            "R_PPC64_GOT_PCREL34",
            "R_PPC64_REL24_NOTOC",
        ] {
            assert!(kinds.contains(&name), "{level}: {kinds:?} lack {name}");
        }
        assert!(
            !kinds.iter().any(|name| name.contains("TOC16")),
            "{kinds:?}"
        );
        assert_eq!(memory.placed.symbol("entry").unwrap().local_entry, 0);
        // The same without them calls from code that has a TOC.
        let file = module(&directory, &[level, "-mcpu=power10", "-mno-pcrel"]);
        load_with(&file, |_| Some(0)).unwrap();
    }
}

/// As gcc makes them, with and without a priority.
#[test]
fn constructors_and_destructors_are_refused() {
    let directory = Directory::new("constructors");
    for attribute in [
        "constructor",
        "destructor",
        "constructor(200)",
        "destructor(200)",
    ] {
        let source = format!("int x; __attribute__(({attribute})) void f(void) {{ x = 1; }}");
        directory.write("module.c", source);
        directory.run("gcc", &["-S", "-O2", "-ffreestanding", "module.c"]);
        assemble(&directory, "module", true);
        let error = refused(&directory.read("module.o")).to_string();
        assert!(
            error.ends_with("which the kernel would never run"),
            "{error}"
        );
    }
}

/// Of `-mprofile-kernel`: a call for each function that gcc compiles, at its local entry.
#[test]
fn sites_of_gcc_become_nops() {
    const MFLR_R0: u32 = 0x7c08_02a6;
    const NOP: u32 = 0x6000_0000;
    let directory = Directory::new("profiled");
    for flags in [vec!["-O2"], vec!["-Os"], vec!["-O2", "-mcpu=power10"]] {
        let flags = [flags, vec!["-pg", "-mprofile-kernel"]].concat();
        let file = module(&directory, &flags);
        let checked = Module::parse(&file).unwrap();
        assert!(!checked.undefined().any(|name| name == PROFILE));
        let memory = load_with(&file, |_| Some(0x1_0000)).unwrap();
        let calls = memory.placed.profiled();
        let entry = memory.placed.symbol("entry").unwrap();
        let site = entry.address + u64::from(entry.local_entry) + 4;
        assert!(
            calls.contains(&site),
            "{flags:?}: {calls:x?} lack {site:#x}"
        );
        for &call in calls {
            let words = [memory.word(call - 4), memory.word(call)];
            assert_eq!(words, [MFLR_R0, NOP], "{flags:?}: {call:#x}");
        }
        let mut stubs = memory.placed.stubs();
        assert!(!stubs.any(|(name, _)| name == PROFILE));
    }
}
