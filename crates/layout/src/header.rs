//! Writes the header that `.S` files include, because `.S` files can't name
//! Rust constants.

use super::{CpuEntry, FrameHeader, RED_ZONE, TRAP_MARKER, TrapFrame, gpr_offset};
use core::mem::{offset_of, size_of};
use ppc64::{msr, spr, vector};
use std::{fmt::Write as _, string::String};

/// The text of a C preprocessor header with every number that assembly uses.
#[must_use]
pub fn assembly_header() -> String {
    let mut text =
        String::from("/* Written by the build from crates/layout and crates/ppc64. */\n");
    let mut define = |name: &str, value: u64| {
        writeln!(text, "#define {name} {value:#x}").expect("writing to a string can't fail");
    };
    let offsets = [
        ("FRAME_BACK_CHAIN", offset_of!(FrameHeader, back_chain)),
        ("FRAME_CR_SAVE", offset_of!(FrameHeader, cr_save)),
        ("FRAME_LR_SAVE", offset_of!(FrameHeader, lr_save)),
        ("FRAME_TOC_SAVE", offset_of!(FrameHeader, toc_save)),
        ("FRAME_SIZE", size_of::<FrameHeader>()),
        ("TRAP_MARK", offset_of!(TrapFrame, marker)),
        ("TRAP_VECTOR", offset_of!(TrapFrame, vector)),
        ("TRAP_NIP", offset_of!(TrapFrame, nip)),
        ("TRAP_MSR", offset_of!(TrapFrame, msr)),
        ("TRAP_CTR", offset_of!(TrapFrame, ctr)),
        ("TRAP_LR", offset_of!(TrapFrame, lr)),
        ("TRAP_XER", offset_of!(TrapFrame, xer)),
        ("TRAP_CR", offset_of!(TrapFrame, cr)),
        ("TRAP_DAR", offset_of!(TrapFrame, dar)),
        ("TRAP_DSISR", offset_of!(TrapFrame, dsisr)),
        ("TRAP_SIZE", size_of::<TrapFrame>()),
        ("CPU_SCRATCH", offset_of!(CpuEntry, scratch)),
        ("CPU_TOC", offset_of!(CpuEntry, toc)),
        ("CPU_HANDLER", offset_of!(CpuEntry, handler)),
        ("CPU_STACK_FLOOR", offset_of!(CpuEntry, stack_floor)),
        ("CPU_STACK_TOP", offset_of!(CpuEntry, stack_top)),
        ("CPU_FALLBACK_STACK", offset_of!(CpuEntry, fallback_stack)),
        ("RED_ZONE", RED_ZONE),
    ];
    for (name, offset) in offsets {
        define(name, offset as u64);
    }
    define("TRAP_GPR0", gpr_offset(0) as u64);
    define("TRAP_MARKER", TRAP_MARKER);
    for (name, mask) in [
        ("MSR_ME", msr::ME),
        ("MSR_RI", msr::RI),
        ("MSR_LE", msr::LE),
    ] {
        define(name, mask);
    }
    for (name, number) in [
        ("SPR_SRR0", spr::SRR0),
        ("SPR_SRR1", spr::SRR1),
        ("SPR_SPRG1", spr::SPRG1),
        ("SPR_SPRG2", spr::SPRG2),
        ("SPR_DAR", spr::DAR),
        ("SPR_DSISR", spr::DSISR),
    ] {
        define(name, u64::from(number));
    }
    for (name, address) in [
        ("VECTOR_FIRST", vector::FIRST),
        ("VECTOR_END", vector::END),
        ("VECTOR_STRIDE", vector::STRIDE),
        ("SCV_FIRST", vector::SCV_FIRST),
        ("SCV_END", vector::SCV_END),
        (
            "VECTOR_MASK_BEGIN",
            u64::from(vector::MASK.leading_zeros()) - 32,
        ),
        (
            "VECTOR_MASK_END",
            31 - u64::from(vector::MASK.trailing_zeros()),
        ),
    ] {
        define(name, address);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_holds_the_structs_offsets() {
        let header = assembly_header();
        assert!(header.contains("#define FRAME_LR_SAVE 0x10\n"));
        assert!(header.contains(&std::format!("#define TRAP_GPR0 {:#x}\n", gpr_offset(0))));
        assert!(header.contains("#define SPR_SPRG1 0x111\n"));
    }
}
