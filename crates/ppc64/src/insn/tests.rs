extern crate std;

use super::*;
use proptest::prelude::*;
use std::string::ToString;

/// Distance of the two neighbours in either direction of the furthest reach.
const REACH: u64 = 0x200_0000;

#[test]
fn readers_of_ctr() {
    let readers = [
        bctr(),
        0x4e80_0421, // bctrl
        0x4d82_0420, // beqctr
        0x7c09_02a6, // mfctr 0
        0x7fe9_02a6, // mfctr 31
        0x4200_fffc, // bdnz .-4
        0x4e00_0020, // bdnzlr
    ];
    assert!(readers.into_iter().all(reads_ctr));
    let others = [
        NOP,
        BLR,
        TRAP,
        MFLR_R0,
        mtctr(12),
        mtlr(0),
        0x4182_0008, // beq .+8
        lis(12, 1),
    ];
    assert!(!others.into_iter().any(reads_ctr));
}

/// What GNU as 2.40 makes of the text behind each.
#[test]
fn traps_if_higher_are_told_from_other_traps() {
    // tdlgt 5, 4; then tdllt 5, 4; twlgt 5, 4; tdlgti 5, 4; trap.
    assert!(is_trap_if_higher(0x7c25_2088));
    for other in [0x7c45_2088, 0x7c25_2008, 0x0825_0004, TRAP] {
        assert!(!is_trap_if_higher(other), "{other:#x}");
    }
}

#[test]
fn atomic_instructions_are_told_apart() {
    let parts =
        |word| atomic(word).map(|one| (one.bytes, one.stores, one.register, one.base, one.index));
    // lbarx 5,0,4; lwarx 5,3,4; ldarx 5,3,4; stbcx. 5,0,4; stwcx. 5,3,4; stdcx. 5,3,4.
    assert_eq!(parts(0x7ca0_2068), Some((1, false, 5, 0, 4)));
    assert_eq!(parts(0x7ca3_2028), Some((4, false, 5, 3, 4)));
    assert_eq!(parts(0x7ca3_20a8), Some((8, false, 5, 3, 4)));
    assert_eq!(parts(0x7ca0_256d), Some((1, true, 5, 0, 4)));
    assert_eq!(parts(0x7ca3_212d), Some((4, true, 5, 3, 4)));
    assert_eq!(parts(0x7ca3_21ad), Some((8, true, 5, 3, 4)));
    // lwzx 5,3,4, and the nop.
    assert_eq!(parts(0x7ca3_202e), None);
    assert_eq!(parts(NOP), None);
}

#[test]
fn words_are_those_of_the_assembler() {
    let words = [
        (NOP, 0x6000_0000),                   // nop
        (MFLR_R0, 0x7c08_02a6),               // mflr 0
        (BLR, 0x4e80_0020),                   // blr
        (TRAP, 0x7fe0_0008),                  // trap
        (lis(12, 0x1234), 0x3d80_1234),       // lis 12,0x1234
        (lis(12, 0x8000), 0x3d80_8000),       // lis 12,0xffff8000
        (lis(0, 0xffff), 0x3c00_ffff),        // lis 0,-1
        (ori(12, 12, 0x5678), 0x618c_5678),   // ori 12,12,0x5678
        (ori(31, 0, 0xffff), 0x601f_ffff),    // ori 31,0,0xffff
        (addis(2, 12, -1), 0x3c4c_ffff),      // addis 2,12,-1
        (addis(12, 0, 0x7fff), 0x3d80_7fff),  // addis 12,0,0x7fff
        (addi(2, 2, -32768), 0x3842_8000),    // addi 2,2,-32768
        (addi(1, 1, 32), 0x3821_0020),        // addi 1,1,32
        (ld(2, 24, 1), 0xe841_0018),          // ld 2,24(1)
        (ld(31, -32768, 30), 0xebfe_8000),    // ld 31,-32768(30)
        (ld(12, 32764, 2), 0xe982_7ffc),      // ld 12,32764(2)
        (std(2, 24, 1), 0xf841_0018),         // std 2,24(1)
        (std(0, -8, 31), 0xf81f_fff8),        // std 0,-8(31)
        (mtctr(12), 0x7d89_03a6),             // mtctr 12
        (mtctr(31), 0x7fe9_03a6),             // mtctr 31
        (bctr(), 0x4e80_0420),                // bctr
        (mtlr(0), 0x7c08_03a6),               // mtlr 0
        (mtlr(12), 0x7d88_03a6),              // mtlr 12
        (oris(12, 12, 0x1234), 0x658c_1234),  // oris 12,12,0x1234
        (sldi(12, 12, 32), 0x798c_07c6),      // sldi 12,12,32
        (sldi(3, 4, 63), 0x7883_f806),        // sldi 3,4,63
        (rldicl(12, 12, 0, 32), 0x798c_0020), // clrldi 12,12,32
        (rldicl(31, 0, 63, 63), 0x781f_ffe2), // rldicl 31,0,63,63
        (rldicl(3, 4, 5, 6), 0x7883_2980),    // rldicl 3,4,5,6
    ];
    for (index, (built, assembled)) in words.into_iter().enumerate() {
        assert_eq!(built, assembled, "word {index}: {built:#x}");
    }
}

#[test]
fn branches_are_those_of_the_assembler() {
    let at = 0x1000_0000;
    for (to, link, word) in [
        (at, false, 0x4800_0000),              // b .
        (at, true, 0x4800_0001),               // bl .
        (at + 0x1ff_fffc, false, 0x49ff_fffc), // b .+0x1fffffc
        (at - 0x200_0000, true, 0x4a00_0001),  // bl .-0x2000000
    ] {
        assert_eq!(branch(at, to, link), Ok(word));
        assert_eq!(branch_target(at, word), Some(Branch { target: to, link }));
    }
    let absolute = |word| branch_target(at, word).unwrap();
    let (low, high) = (absolute(0x4800_0102), absolute(0x4bff_ffff)); // ba 0x100, bla -4
    assert_eq!((low.target, low.link), (0x100, false));
    assert_eq!((high.target, high.link), (u64::MAX - 3, true));
}

#[test]
fn one_word_beyond_the_reach_is_refused() {
    let at = 0x4000_0000;
    let refused = |to, displacement| {
        let error = BranchError::OutOfRange {
            from: at,
            to,
            displacement,
        };
        assert_eq!(branch(at, to, true), Err(error));
        error.to_string()
    };
    assert!(branch(at, at + REACH - 4, true).is_ok());
    assert!(branch(at, at - REACH, true).is_ok());
    assert_eq!(
        refused(at + REACH, 0x200_0000),
        "no branch from 0x40000000 to 0x42000000: \
         the displacement 0x2000000 is not in -0x2000000..=0x1fffffc"
    );
    assert_eq!(
        refused(at - REACH - 4, -0x200_0004),
        "no branch from 0x40000000 to 0x3dfffffc: \
         the displacement -0x2000004 is not in -0x2000000..=0x1fffffc"
    );
    // The largest displacement of all has no positive counterpart.
    assert!(
        branch(0, 1 << 63, false)
            .unwrap_err()
            .to_string()
            .contains("-0x8000000000000000")
    );
}

#[test]
fn what_is_between_two_words_is_refused() {
    for (from, to) in [(2, 4), (4, 7), (2, 6)] {
        let error = BranchError::Misaligned { from, to };
        assert_eq!(branch(from, to, false), Err(error));
        assert_eq!(
            error.to_string(),
            std::format!("no branch from {from:#x} to {to:#x}: instructions are at multiples of 4")
        );
    }
}

#[test]
fn addresses_wrap_around() {
    let last = u64::MAX - 3;
    assert_eq!(branch(last, 0, false), Ok(0x4800_0004));
    assert_eq!(branch_target(last, 0x4800_0004).unwrap().target, 0);
    assert_eq!(branch(0, last, true), Ok(0x4bff_fffd));
    assert_eq!(branch_target(0, 0x4bff_fffd).unwrap().target, last);
}

#[test]
fn other_branches_have_no_target_here() {
    for word in [NOP, MFLR_R0, BLR, TRAP, bctr(), 0x4182_0008, 0, u32::MAX] {
        assert_eq!(branch_target(0x1000, word), None, "{word:#x}");
    }
}

#[test]
fn what_no_instruction_can_hold_panics() {
    let panics = |build: fn() -> u32| std::panic::catch_unwind(build).is_err();
    assert!(panics(|| addi(32, 0, 0)));
    assert!(panics(|| ld(1, 2, 0)));
    assert!(panics(|| std(1, -1, 0)));
    assert!(panics(|| rldicl(1, 1, 64, 0)));
    assert!(panics(|| rldicl(1, 1, 0, 64)));
}

proptest! {
    #[test]
    fn a_branch_leads_where_it_was_told(
        from in any::<u64>().prop_map(|a| a & !3),
        words in -0x90_0000..0x90_0000i64,
        link: bool,
    ) {
        let displacement = words * 4;
        let target = from.wrapping_add_signed(displacement);
        let fits = (BRANCH_LOWEST..=BRANCH_HIGHEST).contains(&displacement);
        match branch(from, target, link) {
            Ok(word) => {
                prop_assert!(fits);
                prop_assert_eq!(branch_target(from, word), Some(Branch { target, link }));
            }
            Err(error) => {
                prop_assert!(!fits);
                prop_assert_eq!(error, BranchError::OutOfRange { from, to: target, displacement });
            }
        }
    }

    #[test]
    fn a_relative_branch_is_made_again_from_its_target(at in any::<u64>().prop_map(|a| a & !3), bits: u32) {
        let word = BRANCH | (bits & (LI | LINK));
        let Branch { target, link } = branch_target(at, word).unwrap();
        prop_assert_eq!(branch(at, target, link), Ok(word));
    }
}
