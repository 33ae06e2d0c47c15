//! Each relocation with the values that just fit and those that just don't.
//! Expected results are worked out by hand from ELFv2 ABI 3.5.3 and 3.5.4.

use crate::elf::{ABSOLUTE, CODE, Elf};
use crate::load::{BASE, load};
use modload::LoadError;

/// What a relocation's value is counted from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Zero,
    Place,
    Toc,
}

/// What comes of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// The field holds this.
    Is(u64),
    Overflow,
    /// Not a multiple of this.
    Misaligned(u64),
}

use Origin::{Place, Toc, Zero};
use Outcome::{Is, Misaligned, Overflow};

/// Where the relocation applies: there is something before and behind.
const AT: u64 = 8;

/// Applies a relocation with the value `value`, where `old` is.
fn apply(kind: u32, from: Origin, old: u64, value: i64) -> Outcome {
    let addend = 0x1230;
    let mut elf = Elf::default();
    let text = elf.section(".text", CODE, &[0x5a; 24]);
    elf.last().bytes[AT as usize..][..8].copy_from_slice(&old.to_le_bytes());
    let toc = load(&elf.build()).unwrap().placed.toc;
    let start = match from {
        Zero => 0,
        Place => BASE + AT,
        Toc => toc,
    };
    let symbol = value
        .cast_unsigned()
        .wrapping_add(start)
        .wrapping_sub(addend);
    let symbol = elf.symbol("number", ABSOLUTE, symbol);
    elf.relocate(text, AT, kind, symbol, addend.cast_signed());
    let file = elf.build();
    match load(&file) {
        Ok(memory) => {
            assert_eq!(memory.image[..8], [0x5a; 8], "before the place");
            assert_eq!(memory.image[16..24], [0x5a; 8], "behind the place");
            Is(memory.doubleword(BASE + AT))
        }
        Err(LoadError::Overflow { value: found, .. }) => {
            assert_eq!(found, value);
            Overflow
        }
        Err(LoadError::Misaligned {
            value: found,
            multiple,
            ..
        }) => {
            assert_eq!(found, value.cast_unsigned());
            Misaligned(multiple)
        }
        Err(other) => panic!("{other}"),
    }
}

/// Tries every type with every value; `mask` is the field, and the bits around
/// it must stay.
fn check(kinds: &[(u32, Origin)], mask: u64, olds: &[u64], cases: &[(i64, Outcome)]) {
    for &(kind, from) in kinds {
        for &(value, outcome) in cases {
            for old in olds {
                let expected = match outcome {
                    Is(field) => Is(old & !mask | field),
                    other => other,
                };
                let found = apply(kind, from, *old, value);
                assert_eq!(found, expected, "type {kind}, {value:#x} into {old:#x}");
            }
        }
    }
}

const OLDS: [u64; 2] = [0, 0xffff_ffff_ffff_ffff];
/// A value of which every 16 bits are different ones.
const MIXED: i64 = 0x1234_5678_9abc_def0;
/// One where the sign of the lowest 16 bits matters up to the top.
const CARRY: i64 = 0x1234_ffff_ffff_8000;

#[test]
fn sixteen_bits_hold_a_signed_number() {
    let kinds = [(3, Zero), (25, Zero), (47, Toc), (249, Place)];
    let cases = [
        (0, Is(0)),
        (0x7fff, Is(0x7fff)),
        (0x8000, Overflow),
        (-1, Is(0xffff)),
        (-0x8000, Is(0x8000)),
        (-0x8001, Overflow),
        (i64::MAX, Overflow),
        (i64::MIN, Overflow),
    ];
    check(&kinds, 0xffff, &OLDS, &cases);
}

#[test]
fn lo_takes_what_it_gets() {
    let kinds = [(4, Zero), (48, Toc), (250, Place)];
    let cases = [(MIXED, Is(0xdef0)), (-1, Is(0xffff)), (0x1_0001, Is(1))];
    check(&kinds, 0xffff, &OLDS, &cases);
}

#[test]
fn hi_reaches_to_two_gigabytes() {
    let kinds = [(5, Zero), (49, Toc), (251, Place)];
    let cases = [
        (0x1_ffff, Is(1)),
        (0x7fff_ffff, Is(0x7fff)),
        (0x8000_0000, Overflow),
        (-1, Is(0xffff)),
        (-0x8000_0000, Is(0x8000)),
        (-0x8000_0001, Overflow),
        (i64::MAX, Overflow),
    ];
    check(&kinds, 0xffff, &OLDS, &cases);
}

#[test]
fn ha_reaches_as_far_as_its_sum_with_lo() {
    let kinds = [(6, Zero), (50, Toc), (252, Place)];
    let cases = [
        (0x1_7fff, Is(1)),
        (0x1_8000, Is(2)),
        (-1, Is(0)),
        (-0x8000, Is(0)),
        (-0x8001, Is(0xffff)),
        (0x7fff_7fff, Is(0x7fff)),
        (0x7fff_8000, Overflow),
        (-0x8000_8000, Is(0x8000)),
        (-0x8000_8001, Overflow),
        (i64::MAX, Overflow),
    ];
    check(&kinds, 0xffff, &OLDS, &cases);
}

#[test]
fn higher_parts_never_overflow() {
    for (kinds, mixed, carry) in [
        ([(110, Zero), (240, Place)], 0x9abc, 0xffff), // high
        ([(111, Zero), (241, Place)], 0x9abd, 0),      // higha
        ([(39, Zero), (242, Place)], 0x5678, 0xffff),  // higher
        ([(40, Zero), (243, Place)], 0x5678, 0),       // highera
        ([(41, Zero), (244, Place)], 0x1234, 0x1234),  // highest
        ([(42, Zero), (245, Place)], 0x1234, 0x1235),  // highesta
    ] {
        let cases = [(MIXED, Is(mixed)), (CARRY, Is(carry))];
        check(&kinds, 0xffff, &OLDS, &cases);
    }
}

/// `std` and `ldu`, with one bit of opcode or none below the displacement, and
/// words above that are not the instruction's.
const DS_FORM: [u64; 2] = [0xffff_ffff_f801_0000, 0xe801_0001];

#[test]
fn ds_form_displacements_are_multiples_of_four() {
    let whole = [(56, Zero), (63, Toc)];
    let cases = [
        (0x7ffc, Is(0x7ffc)),
        (0x7ffd, Misaligned(4)),
        (0x7ffe, Misaligned(4)),
        (0x8000, Overflow),
        (-4, Is(0xfffc)),
        (-0x8000, Is(0x8000)),
        (-0x8004, Overflow),
    ];
    check(&whole, 0xfffc, &DS_FORM, &cases);
    let low = [(57, Zero), (64, Toc)];
    let cases = [
        (MIXED, Is(0xdef0)),
        (MIXED + 1, Misaligned(4)),
        (MIXED + 2, Misaligned(4)),
        (-4, Is(0xfffc)),
    ];
    // The message has the value before its part is taken.
    check(&low, 0xfffc, &DS_FORM, &cases);
}

#[test]
fn dq_form_displacements_are_multiples_of_sixteen() {
    // `lq`, `lxv` with its register's highest bit, `stxv`.
    let olds = [0xe001_0000, 0xf401_0009, 0xf401_0005];
    let kinds = [(56, Zero), (63, Toc), (57, Zero), (64, Toc)];
    let cases = [
        (0x7ff0, Is(0x7ff0)),
        (0x7ff8, Misaligned(16)),
        (0x7ffc, Misaligned(16)),
        (-0x10, Is(0xfff0)),
    ];
    check(&kinds, 0xfff0, &olds, &cases);
    // `stxssp`, of the same primary opcode, is DS-form.
    check(&kinds, 0xfffc, &[0xf401_0003], &[(0x7ffc, Is(0x7ffc))]);
}

#[test]
fn words_hold_a_number_with_or_without_sign() {
    let cases = [
        (0xffff_ffff, Is(0xffff_ffff)),
        (0x1_0000_0000, Overflow),
        (-0x8000_0000, Is(0x8000_0000)),
        (-0x8000_0001, Overflow),
        (3, Is(3)),
    ];
    check(&[(1, Zero), (24, Zero)], 0xffff_ffff, &OLDS, &cases);
}

#[test]
fn relative_words_hold_a_signed_number() {
    let cases = [
        (0x7fff_ffff, Is(0x7fff_ffff)),
        (0x8000_0000, Overflow),
        (-0x8000_0000, Is(0x8000_0000)),
        (-0x8000_0001, Overflow),
    ];
    check(&[(26, Place)], 0xffff_ffff, &OLDS, &cases);
}

#[test]
fn doublewords_hold_everything() {
    let kinds = [(38, Zero), (43, Zero), (44, Place)];
    let cases = [
        (MIXED, Is(MIXED as u64)),
        (-1, Is(u64::MAX)),
        (i64::MIN, Is(1 << 63)),
    ];
    check(&kinds, u64::MAX, &OLDS, &cases);
}

#[test]
fn conditional_branches_reach_32_kib() {
    // `beq` and `bnel`, which keep condition and link bit.
    let olds = [0x4182_0000, 0x4082_0001];
    let cases = [
        (0x7ffc, Is(0x7ffc)),
        (0x7ffe, Misaligned(4)),
        (0x8000, Overflow),
        (-0x8000, Is(0x8000)),
        (-0x8004, Overflow),
    ];
    check(&[(11, Place)], 0xfffc, &olds, &cases);
}

#[test]
fn branches_reach_32_mib() {
    // `b` and `bl`.
    let olds = [0x4800_0000, 0x4800_0001];
    let cases = [
        (0x1ff_fffc, Is(0x1ff_fffc)),
        (0x1ff_ffff, Misaligned(4)),
        (0x200_0000, Overflow),
        (-0x200_0000, Is(0x200_0000)),
        (-0x200_0004, Overflow),
    ];
    check(
        &[(10, Place), (116, Place), (124, Place)],
        0x03ff_fffc,
        &olds,
        &cases,
    );
}

/// `pla r3` and `pstd r31`, with all bits around the displacement clear or set.
const PREFIXED: [u64; 2] = [0x3860_0000_0610_0000, 0xffff_ffff_07ff_ffff];

#[test]
fn prefixed_instructions_reach_8_gib() {
    // The upper 18 bits are the prefix's, the lower 16 the suffix's.
    let cases = [
        (0, Is(0)),
        (0xffff, Is(0xffff_0000_0000)),
        (0x1_0000, Is(1)),
        (0x1_2345_6789, Is(0x6789_0001_2345)),
        (0x1_ffff_ffff, Is(0xffff_0001_ffff)),
        (0x2_0000_0000, Overflow),
        (-1, Is(0xffff_0003_ffff)),
        (-0x2_0000_0000, Is(0x2_0000)),
        (-0x2_0000_0001, Overflow),
        (i64::MAX, Overflow),
        (i64::MIN, Overflow),
    ];
    check(&[(132, Place)], 0xffff_0003_ffff, &PREFIXED, &cases);
}

#[test]
fn hints_change_nothing() {
    for kind in [0, 109, 118, 123] {
        assert_eq!(apply(kind, Zero, 0xdead_beef, MIXED), Is(0xdead_beef));
    }
}
