//! Modules spoilt by chance: whatever they hold, loading ends, and without panic.
//!
//! `MODLOAD_MUTATIONS=N` in the environment says how many; 10 million take half a
//! minute with `--release`. `MODLOAD_SEED=N` starts somewhere else.

use crate::elf::{ADDR64, Elf, OUTSIDE, REL24, REL24_NOTOC, WRITTEN, header_at};
use crate::load::{BASE, resolve};
use crate::{compilers, tools::Directory};
use modload::Module;
use std::collections::BTreeMap;
use std::env;

/// How many, by default.
const COUNT: u64 = 100_000;

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 11) as usize % end.max(1)
    }

    /// A number as it might be in a file: small, at an edge, near another one, or
    /// any.
    fn number(&mut self, old: u64) -> u64 {
        let edges = [0, 1, 1 << 15, 1 << 16, 1 << 31, 1 << 32, 1 << 63, u64::MAX];
        let edge = edges[self.below(edges.len())];
        match self.below(5) {
            0 => self.below(64) as u64,
            1 => edge.wrapping_add(self.below(9) as u64).wrapping_sub(4),
            2 => old.wrapping_add(self.below(65) as u64).wrapping_sub(32),
            3 => old ^ 1 << self.below(64),
            _ => self.next(),
        }
    }
}

fn read(file: &[u8], at: usize, size: usize) -> u64 {
    let mut bytes = [0; 8];
    if let Some(found) = file.get(at..at.saturating_add(size)) {
        bytes[..size].copy_from_slice(found);
    }
    u64::from_le_bytes(bytes)
}

/// Replaces a number of the file by a likely one.
fn spoil(file: &mut [u8], at: usize, size: usize, random: &mut Random) {
    let number = random.number(read(file, at, size));
    if let Some(bytes) = file.get_mut(at..at.saturating_add(size)) {
        bytes.copy_from_slice(&number.to_le_bytes()[..size]);
    }
}

/// Where the fields of the structures are, and how many bytes they have.
const FILE_HEADER: [(usize, usize); 9] = [
    (4, 1),
    (5, 1),
    (16, 2),
    (18, 2),
    (40, 8),
    (48, 4),
    (58, 2),
    (60, 2),
    (62, 2),
];
const SECTION_HEADER: [(usize, usize); 9] = [
    (0, 4),
    (4, 4),
    (8, 8),
    (24, 8),
    (32, 8),
    (40, 4),
    (44, 4),
    (48, 8),
    (56, 8),
];
const SYMBOL: [(usize, usize); 6] = [(0, 4), (4, 1), (5, 1), (6, 2), (8, 8), (16, 8)];
const RELOCATION: [(usize, usize); 4] = [(0, 8), (8, 4), (12, 4), (16, 8)];

/// A section of a type: where it is, and how long.
fn table(file: &[u8], kind: u64, random: &mut Random) -> Option<(usize, usize)> {
    let count = read(file, 60, 2) as usize;
    let start = random.below(count);
    (0..count)
        .map(|index| header_at(file, (start + index) % count))
        .find(|at| read(file, at + 4, 4) == kind)
        .map(|at| {
            (
                read(file, at + 24, 8) as usize,
                read(file, at + 32, 8) as usize,
            )
        })
}

/// Changes one thing.
fn mutate(file: &mut Vec<u8>, good: &[u8], random: &mut Random) {
    let mut entry = |kind, fields: &[(usize, usize)], random: &mut Random| {
        let (start, size) = table(good, kind, random).unwrap();
        let (field, bytes) = fields[random.below(fields.len())];
        spoil(
            file,
            start + random.below(size / 24) * 24 + field,
            bytes,
            random,
        );
    };
    match random.below(16) {
        0 => {
            let (at, size) = FILE_HEADER[random.below(FILE_HEADER.len())];
            spoil(file, at, size, random);
        }
        1..=4 => {
            let section = random.below(read(good, 60, 2) as usize);
            let (field, size) = SECTION_HEADER[random.below(SECTION_HEADER.len())];
            spoil(file, header_at(good, section) + field, size, random);
        }
        5..=7 => entry(2, &SYMBOL, random),
        8..=11 => entry(4, &RELOCATION, random),
        12 => {
            let length = random.below(file.len());
            file.truncate(length);
        }
        13 => {
            // A run of the file over another one.
            let (length, from) = (random.below(64), random.below(good.len()));
            let to = random.below(good.len());
            for (index, byte) in good.iter().skip(from).take(length).enumerate() {
                if let Some(place) = file.get_mut(to + index) {
                    *place = *byte;
                }
            }
        }
        _ => {
            let at = random.below(file.len());
            if let Some(byte) = file.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
}

/// Loads what may not be a module. Gives the sort of error, or none.
fn try_to_load(file: &[u8], image: &mut Vec<u8>) -> Result<(), String> {
    let sort = |error: modload::LoadError<'_>| {
        // The message must come to an end as well.
        assert!(!error.to_string().is_empty());
        let sort = format!("{error:?}");
        sort.split([' ', '{']).next().unwrap_or("").to_owned()
    };
    let module = Module::parse(file).map_err(sort)?;
    let align = module.align() as u64;
    assert!(align.is_power_of_two() && align <= modload::MAX_ALIGN);
    assert!(module.size() as u64 <= modload::MAX_SIZE);
    // Clearing megabytes over and over is no test.
    if module.size() > 1 << 20 {
        return Err("large".into());
    }
    image.resize(module.size(), 0xa5);
    let base = BASE.next_multiple_of(align);
    // Under a foreign TOC there may be something else wrong with it.
    let toc = base.wrapping_add(0x7000_0000);
    let other = module.place_with_toc(base, image, toc, resolve);
    if let Err(error) = other {
        sort(error);
    }
    let placed = module.place(base, image, resolve).map_err(sort)?;
    let end = base + module.size() as u64;
    for (_, range) in placed.sections() {
        assert!(base <= range.start && range.start <= range.end && range.end <= end);
    }
    for symbol in placed.symbols() {
        assert!(base <= symbol.address && symbol.address <= end);
    }
    assert_eq!(placed.stubs().count(), module.stub_count());
    assert!(
        placed
            .symbol("entry")
            .is_none_or(|symbol| symbol.name == "entry")
    );
    Ok(())
}

fn seeds() -> Vec<Vec<u8>> {
    let directory = Directory::new("mutations");
    let mut elf = Elf::default();
    let text = elf.text(&[
        0x4800_0001,
        0x6000_0000,
        0x4800_0001,
        0xe862_0000,
        0x3c62_0000,
        0,
    ]);
    let data = elf.section(".data", WRITTEN, &[0; 24]);
    let bss = elf.zeros(".bss", 100);
    let outer = elf.symbol("outer", OUTSIDE, 0);
    let entry = elf.symbol("entry", text, 8);
    let zeros = elf.symbol("zeros", bss, 4);
    elf.relocate(text, 0, REL24, outer, 0);
    elf.relocate(text, 8, REL24_NOTOC, entry, 4);
    elf.relocate(text, 12, 58, outer, 0);
    elf.relocate(text, 16, 50, zeros, 0);
    elf.relocate(data, 0, ADDR64, entry, 0);
    elf.relocate(data, 8, 26, entry, 0);
    let compiled = ["-O2", "-mcmodel=small", "-mcpu=power10"];
    let mut seeds = vec![elf.build()];
    seeds.extend(compiled.map(|flag| compilers::module(&directory, &[flag])));
    seeds
}

fn setting(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text}: no number")),
        Err(_) => default,
    }
}

#[test]
fn spoilt_modules_are_loaded_or_refused() {
    let seeds = seeds();
    let mut image = Vec::new();
    for seed in &seeds {
        assert_eq!(try_to_load(seed, &mut image), Ok(()));
    }
    let count = setting("MODLOAD_MUTATIONS", COUNT);
    let mut random = Random(setting("MODLOAD_SEED", 0x6b6c_706c_6162).max(1));
    let mut outcomes = BTreeMap::<String, u64>::new();
    let mut file = Vec::new();
    for number in 0..count {
        let seed = &seeds[random.below(seeds.len())];
        file.clear();
        file.extend(seed);
        for _ in 0..=random.below(3) {
            mutate(&mut file, seed, &mut random);
        }
        let outcome = std::panic::catch_unwind(|| try_to_load(&file, &mut Vec::new()));
        let outcome = outcome.unwrap_or_else(|_| panic!("mutation {number} of {count}"));
        *outcomes
            .entry(outcome.err().unwrap_or_else(|| "loaded".into()))
            .or_default() += 1;
    }
    println!("{outcomes:#?}");
    let loaded = outcomes.get("loaded").copied().unwrap_or(0);
    assert!(loaded > count / 100, "{loaded} of {count} loaded");
    assert!(loaded < count / 2, "{loaded} of {count} loaded");
    // Most ways to be wrong have been tried.
    assert!(outcomes.len() > 20, "{outcomes:#?}");
}
