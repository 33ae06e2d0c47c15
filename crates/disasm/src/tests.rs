use super::*;
use proptest::prelude::*;
use std::string::{String, ToString};

fn show(word: u32) -> String {
    Line::new(0x1000, word).to_string()
}

#[test]
fn what_the_crate_knows_is_shown_its_way() {
    for (word, text) in [
        (0x6000_0000, "nop"),
        (0x7c08_02a6, "mflr r0"),
        (0xe841_0018, "ld r2, 0x18(r1)"),
        (0xf821_ffe1, "stdu r1, -0x20(r1)"),
        (0x3d80_8000, "lis r12, 0x8000"),
        (0x798c_0020, "rldicl r12, r12, 0, 32"),
        (0x7fe0_0008, "trap"),
    ] {
        assert_eq!(show(word), text);
    }
}

#[test]
fn what_is_unknown_is_data() {
    // Nothing, `xxmr vs0,vs0`, a prefix, `bclr 20,0,1`, `isel` of a float.
    for word in [0, 0xf000_0490, 0x0600_0000, 0x4e80_0820, 0x7c00_001f] {
        assert_eq!(show(word), std::format!(".long {word:#010x}"));
        assert!(!Line::new(0, word).is_known());
    }
}

/// The text behind each is what GNU as 2.40 makes the word of.
#[test]
fn what_the_crate_lacks_is_added() {
    for (word, text) in [
        (0x4400_0002, "sc"),
        (0x4400_0022, "sc 1"),
        (0x7f7b_db78, "yield"),
        (0x7cf6_f05e, "isel r7, r22, r30, gt"),
        (0x7d3e_3d1e, "isel r9, r30, r7, cr5lt"),
        (0x7c80_1868, "lbarx r4, r0, r3"),
        (0x7c80_18e8, "lharx r4, r0, r3"),
        (0x7ca0_1d6d, "stbcx. r5, r0, r3"),
        (0x7ca0_1dad, "sthcx. r5, r0, r3"),
        (0x7c80_2c28, "ldbrx r4, r0, r5"),
        (0x7cb5_fd28, "stdbrx r5, r21, r31"),
        (0x7c23_d088, "tdlgt r3, r26"),
        (0x7c41_5888, "tdllt r1, r11"),
        (0x7f0b_0888, "tdne r11, r1"),
        (0x7caa_02f4, "popcntw r10, r5"),
        (0x7caa_03f4, "popcntd r10, r5"),
        (0x7d92_0120, "mtocrf 32, r12"),
    ] {
        assert_eq!(show(word), text);
        assert!(Line::new(0, word).is_known());
    }
}

#[test]
fn branches_have_the_hints_of_todays_processors() {
    for (word, text) in [
        (0x4800_0008, "b 0x1008"),
        (0x4bff_fff9, "bl 0xff8"),
        (0x4800_0102, "ba 0x100"),
        (0x4bff_ffff, "bla 0xfffffffffffffffc"),
        (0x4182_0008, "beq 0x1008"),
        (0x4082_fff8, "bne 0xff8"),
        (0x41c2_0008, "beq- 0x1008"),
        (0x41e2_0008, "beq+ 0x1008"),
        (0x40c1_0008, "ble- 0x1008"),
        (0x40e1_0008, "ble+ 0x1008"),
        (0x4195_0008, "bgt cr5, 0x1008"),
        (0x4187_0009, "bsol cr1, 0x1008"),
        (0x4083_000a, "bnsa 0x8"),
        (0x4200_fff4, "bdnz 0xff4"),
        (0x4320_fff4, "bdnz+ 0xff4"),
        (0x4300_fff4, "bdnz- 0xff4"),
        (0x4240_0008, "bdz 0x1008"),
        (0x4340_0008, "bdz- 0x1008"),
        (0x4360_0008, "bdz+ 0x1008"),
        (0x4e80_0020, "blr"),
        (0x4e80_0021, "blrl"),
        (0x4d82_0020, "beqlr"),
        (0x4dda_0020, "beqlr- cr6"),
        (0x4e00_0020, "bdnzlr"),
        (0x4e80_0420, "bctr"),
        (0x4e80_0421, "bctrl"),
        (0x4c82_0421, "bnectrl"),
        // Those have only a basic form, or no valid one.
        (0x429f_0005, "bcl 20, cr7un, 0x1004"),
        (0x41a2_0008, "bc 13, eq, 0x1008"),
        (0x4282_0008, "bc 20, eq, 0x1008"),
        (0x4e00_0420, "bcctr 16, lt"),
    ] {
        assert_eq!(show(word), text, "{word:#x}");
    }
}

#[test]
fn targets_have_the_names_that_are_asked_for() {
    let show = |address, word| {
        let name = |target: u64, f: &mut Formatter<'_>| match target {
            0x2000.. => write!(f, "kernel::foo+{:#x}", target - 0x2000),
            _ => write!(f, "{target:#x}"),
        };
        Line::new(address, word).named(name).to_string()
    };
    assert_eq!(show(0x1000, 0x4800_1009), "bl kernel::foo+0x8");
    assert_eq!(show(0x2000, 0x4186_0010), "beq cr1, kernel::foo+0x10");
    assert_eq!(show(0x1000, 0x4200_0004), "bdnz 0x1004");
    assert_eq!(show(0x1000, 0x4e80_0020), "blr");
    assert_eq!(show(0x1000, 0), ".long 0x00000000");
    // Addresses wrap around, as the processor's do.
    assert_eq!(show(0, 0x4182_fffc), "beq kernel::foo+0xffffffffffffdffc");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn no_word_is_too_strange(address: u64, word: u32) {
        let line = Line::new(address, word);
        let text = line.to_string();
        prop_assert_eq!(line.is_known(), !text.starts_with(".long "));
        prop_assert!(!text.contains('<'), "{}", text);
        prop_assert!(text.is_ascii() && !text.contains("  ") && text.trim_end() == text);
        if let Some(target) = line.target() {
            let end = std::format!(" {target:#x}");
            prop_assert!(text.ends_with(&end), "{}", text);
        }
    }
}
