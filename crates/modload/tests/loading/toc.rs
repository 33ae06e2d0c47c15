//! A TOC pointer from outside.

use crate::compilers::module;
use crate::elf::{ABSOLUTE, ADDR64, Elf, OUTSIDE, REL24, WRITTEN};
use crate::load::{BASE, DATA, Memory, resolve};
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

/// In reach of branches, as [`TOC`] is not.
const OTHER: u64 = BASE - 0x4000;

/// Calls of two functions at fixed addresses, as of a kernel that the module was made for, data
/// of its there, and an address of it; `function` is where the first is.
fn of_a_kernel(function: u64) -> Elf {
    let mut elf = Elf::default();
    // bl; b; beq; addis r3,r2; addi r3,r3; addis r4,r2; ld r4,(r4)
    let text = elf.text(&[
        0x4800_0001,
        0x4800_0000,
        0x4182_0000,
        0x3c62_0000,
        0x3863_0000,
        0x3c82_0000,
        0xe884_0000,
    ]);
    let data = elf.section(".data", WRITTEN, &[0; 8]);
    let called = elf.symbol("called", ABSOLUTE, function);
    // With a local entry behind the global one, by its symbol or by an addend.
    let other = elf.symbol("other", ABSOLUTE, OTHER);
    elf.last_symbol().local_entry = 3;
    let found = elf.symbol("found", ABSOLUTE, TOC + 0x1_8000);
    elf.relocate(text, 0, REL24, called, 8);
    elf.relocate(text, 4, REL24, other, 0);
    elf.relocate(text, 8, 11, called, 0); // REL14
    elf.relocate(text, 12, 50, found, 16); // TOC16_HA
    elf.relocate(text, 16, 48, found, 16); // TOC16_LO
    elf.relocate(text, 20, 50, found, 16); // TOC16_HA
    elf.relocate(text, 24, 64, found, 16); // TOC16_LO_DS
    elf.relocate(data, 0, ADDR64, found, 3);
    elf
}

/// No stub, and nothing is changed behind the call: what comes of r2 is the module's business.
#[test]
fn what_is_at_a_fixed_address_is_reached_directly() {
    // In reach of a conditional branch too.
    let near = BASE - 0x7000;
    for own in [false, true] {
        let file = of_a_kernel(near).build();
        let module = Module::parse(&file).unwrap();
        assert_eq!((module.stub_count(), module.undefined().count()), (0, 0));
        let mut image = vec![0xa5; module.size()];
        let (toc, placed) = match own {
            false => (TOC, module.place_with_toc(BASE, &mut image, TOC, |_| None)),
            true => {
                let placed = module.place(BASE, &mut image, |_| None);
                (placed.as_ref().unwrap().toc, placed)
            }
        };
        let placed = placed.unwrap();
        let memory = Memory { placed, image };
        assert_eq!(memory.target(BASE), near + 8);
        assert_eq!(memory.target(BASE + 4), OTHER + 8);
        assert_eq!(memory.target(BASE + 8), near);
        for address in [BASE + 12, BASE + 20] {
            let found = toc.wrapping_add(sum(&memory.image, address));
            assert_eq!(found, TOC + 0x1_8010, "{own}");
        }
        let data = memory.placed.section(".data").unwrap().start;
        assert_eq!(memory.doubleword(data), TOC + 0x1_8003);
        // It is no name of the module's.
        assert!(memory.placed.symbol("called").is_none());
    }
}

#[test]
fn what_is_out_of_reach_of_a_branch_or_of_the_toc_is_refused() {
    let sentence = |elf: Elf, toc| {
        let file = elf.build();
        place(&file, toc).map(drop).unwrap_err().to_string()
    };
    let mut far = of_a_kernel(BASE + 0x200_0000);
    far.sections[0].relocations.retain(|one| one.kind != 11);
    let text = sentence(far, TOC);
    assert!(text.starts_with("R_PPC64_REL24 at .text+0x0 "), "{text}");
    assert!(text.ends_with("0x2000008 does not fit"), "{text}");
    let text = sentence(of_a_kernel(BASE - 0x9000), TOC);
    assert!(text.starts_with("R_PPC64_REL14 at .text+0x8 "), "{text}");
    let mut data = of_a_kernel(BASE - 0x7000);
    data.symbols[2].value = TOC + 0x8000_0000;
    let text = sentence(data, TOC);
    assert!(text.starts_with("R_PPC64_TOC16_HA at .text+0xc "), "{text}");
    assert!(text.ends_with("does not fit"), "{text}");
}
