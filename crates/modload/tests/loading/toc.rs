//! A TOC pointer from outside.

use crate::compilers::module;
use crate::elf::{Elf, OUTSIDE, WRITTEN};
use crate::load::{BASE, DATA, resolve};
use crate::tools::Directory;
use modload::{LoadError, Module, Placed};

/// Far from the module's own.
const TOC: u64 = BASE - 0x0765_8000;

fn place<'a>(file: &'a [u8], toc: u64) -> Result<(Placed<'a>, Vec<u8>), LoadError<'a>> {
    let module = Module::parse(file)?;
    let mut image = vec![0xa5; module.size()];
    let placed = module.place_with_toc(BASE, &mut image, toc, resolve)?;
    Ok((placed, image))
}

fn word(image: &[u8], address: u64) -> u32 {
    let at = (address - BASE) as usize;
    u32::from_le_bytes(image[at..at + 4].try_into().unwrap())
}

/// A function with both entry points, an address in data, and one in the GOT.
fn sample() -> Elf {
    let mut elf = Elf::default();
    // addis r2,r12; addi r2,r2; addis r3,r2; addi r3,r3; addis r4,r2; ld r4,(r4)
    let text = elf.text(&[
        0x3c4c_0000,
        0x3842_0000,
        0x3c62_0000,
        0x3863_0000,
        0x3c82_0000,
        0xe884_0000,
    ]);
    let data = elf.section(".data", WRITTEN, &[0; 32]);
    let toc = elf.symbol(".TOC.", OUTSIDE, 0);
    let bytes = elf.symbol("bytes", data, 16);
    let outside = elf.symbol("data", OUTSIDE, 0);
    elf.relocate(text, 0, 252, toc, 0); // REL16_HA
    elf.relocate(text, 4, 250, toc, 4); // REL16_LO
    elf.relocate(text, 8, 50, bytes, 0); // TOC16_HA
    elf.relocate(text, 12, 48, bytes, 0); // TOC16_LO
    elf.relocate(text, 16, 17, outside, 0); // GOT16_HA
    elf.relocate(text, 20, 59, outside, 0); // GOT16_LO_DS
    elf.relocate(data, 0, 51, 0, 0); // TOC
    elf
}

/// What two instructions add up to, the first of which takes the upper half.
fn sum(image: &[u8], address: u64) -> u64 {
    let (high, low) = (word(image, address) as u16, word(image, address + 4) as u16);
    let high = i64::from(high.cast_signed()) << 16;
    (high + i64::from(low.cast_signed())).cast_unsigned()
}

#[test]
fn all_is_counted_from_there() {
    let file = sample().build();
    for toc in [TOC, BASE + 0x4000_0000, BASE + 0x8000] {
        let (placed, image) = place(&file, toc).unwrap();
        assert_eq!(placed.toc, toc);
        // In r12 is the function's address.
        assert_eq!(BASE.wrapping_add(sum(&image, BASE)), toc);
        let bytes = placed.symbol("bytes").unwrap().address;
        assert_eq!(toc.wrapping_add(sum(&image, BASE + 8)), bytes);
        let entry = toc.wrapping_add(sum(&image, BASE + 16));
        let at = (entry - BASE) as usize;
        assert_eq!(image[at..at + 8], DATA.to_le_bytes());
        let at = (bytes - 16 - BASE) as usize;
        assert_eq!(image[at..at + 8], toc.to_le_bytes());
    }
}

/// The layout is the same, and so is all that is not relative to the TOC.
#[test]
fn its_own_toc_gives_the_same_module() {
    let directory = Directory::new("toc");
    for file in [sample().build(), module(&directory, &["-O2"])] {
        let module = Module::parse(&file).unwrap();
        let mut image = vec![0xa5; module.size()];
        let placed = module.place(BASE, &mut image, resolve).unwrap();
        let (other, same) = place(&file, placed.toc).unwrap();
        assert_eq!(image, same);
        assert_eq!(placed.text, other.text);
        let (_, different) = place(&file, TOC).unwrap();
        assert_ne!(image, different);
        assert!(placed.sections().eq(other.sections()));
    }
}

#[test]
fn two_gigabytes_are_in_reach_and_no_more() {
    let file = sample().build();
    let size = Module::parse(&file).unwrap().size() as u64;
    // As far from the last byte as `#ha` reaches, and from the first.
    let (lowest, highest) = ((BASE + size).wrapping_sub(0x7fff_8000), BASE + 0x7fff_7fff);
    for (toc, fits) in [
        (highest & !7, true),
        (highest + 1, false),
        (lowest.next_multiple_of(8), true),
        (lowest - 1, false),
        (0xc000_0000_0000_8000, false),
    ] {
        match place(&file, toc) {
            Ok(_) => assert!(fits, "{toc:#x}"),
            Err(error) => {
                assert!(!fits, "{toc:#x}: {error}");
                let text = error.to_string();
                assert!(text.contains("must be within 2 GiB"), "{text}");
                assert!(text.contains(&format!("{toc:#x}")), "{text}");
            }
        }
    }
}

/// The small code model has 16 bits.
#[test]
fn sixteen_bits_overflow_sooner() {
    let mut elf = Elf::default();
    let text = elf.text(&[0x3862_0000]);
    let data = elf.section(".data", WRITTEN, &[0; 8]);
    let bytes = elf.symbol("bytes", data, 0);
    elf.relocate(text, 0, 47, bytes, 0);
    let file = elf.build();
    assert!(place(&file, BASE).is_ok());
    let Err(error) = place(&file, TOC) else {
        panic!("placed");
    };
    assert!(matches!(error, LoadError::Overflow { .. }), "{error}");
}
