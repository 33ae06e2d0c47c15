//! What it costs to load larger modules.

use crate::elf::{ADDR64, Elf, OUTSIDE, REL24, WRITTEN};
use crate::load::{load, load_with};
use modload::Module;
use std::time::{Duration, Instant};

/// Half calls to `functions` functions, half addresses.
fn module(relocations: u64, functions: u64) -> Vec<u8> {
    let mut elf = Elf::default();
    let words = [0x4800_0001, 0x6000_0000].repeat(relocations as usize / 2);
    let text = elf.text(&words);
    let data = elf.section(".data", WRITTEN, &vec![0; 4 * relocations as usize]);
    for number in 0..functions {
        elf.symbol(&format!("function_{number}"), OUTSIDE, 0);
    }
    for number in 0..relocations / 2 {
        let symbol = (number % functions) as u32 + 1;
        elf.relocate(text, 8 * number, REL24, symbol, 0);
        elf.relocate(data, 8 * number, ADDR64, symbol, 0);
    }
    elf.build()
}

#[test]
fn modules_of_all_sizes_load() {
    for relocations in [10, 100, 1_000, 10_000] {
        let functions = relocations / 5;
        let file = module(relocations, functions);
        let module = Module::parse(&file).unwrap();
        assert_eq!(module.relocation_count(), relocations as usize);
        assert_eq!(module.stub_count(), functions as usize);
        let mut asked = 0;
        load_with(&file, |_| {
            asked += 1;
            Some(0x1_0000)
        })
        .unwrap();
        assert_eq!(asked, functions);
    }
}

/// A loop over everything for each of everything would take minutes here.
#[test]
fn a_hundred_thousand_of_everything_take_no_time() {
    let count = 100_000;
    let start = Instant::now();
    let file = module(2 * count, count);
    load_with(&file, |_| Some(0)).unwrap();
    // As many entries of the GOT, in the wrong order.
    let mut elf = Elf::default();
    let text = elf.text(&[0]);
    let number = elf.symbol("data", OUTSIDE, 0);
    for addend in (0..count as i64).rev() {
        elf.relocate(text, 0, 59, number, 4 * (addend ^ 0x5555));
    }
    load(&elf.build()).unwrap();
    // As many names, each the end of one long name.
    let mut elf = Elf::default();
    let text = elf.text(&[0]);
    elf.symbol(&"n".repeat(modload::MAX_NAME), text, 0);
    for _ in 0..count {
        elf.symbol("", text, 0);
    }
    let mut file = elf.build();
    let at = crate::elf::header_at(&file, crate::elf::find_section(&file, ".symtab"));
    let at = u64::from_le_bytes(file[at + 24..at + 32].try_into().unwrap()) as usize;
    for index in 2..count as usize {
        let name = (index % modload::MAX_NAME) as u32 + 1;
        crate::elf::put(&mut file, at + 24 * index, &name.to_le_bytes());
    }
    assert!(load(&file).unwrap().placed.symbol("missing").is_none());
    // As many as there may be.
    let mut elf = Elf::default();
    for _ in 0..0xff00 - 5 {
        elf.section(".data", WRITTEN, &[0; 8]);
    }
    load(&elf.build()).unwrap();
    assert!(start.elapsed() < Duration::from_secs(30));
}
