//! Primary opcodes: the six highest bits of an instruction word (ISA Book I, 1.6), and the
//! extended ones of branches through a register.
#![expect(missing_docs, reason = "most are named as their instructions")]

/// The first word of a prefixed instruction.
pub const PREFIX: u32 = 1;
pub const ADDI: u32 = 14;
pub const ADDIS: u32 = 15;
/// A conditional branch.
pub const BC: u32 = 16;
pub const SC: u32 = 17;
/// A branch, or a call.
pub const B: u32 = 18;
/// Branches through a register, returns from interrupts, and others of XL-form.
pub const XL: u32 = 19;
pub const ORI: u32 = 24;
pub const ORIS: u32 = 25;
/// `rldicl` and the like.
pub const RLD: u32 = 30;
/// Most others of X-form.
pub const X: u32 = 31;
pub const LWZ: u32 = 32;
pub const LWZU: u32 = 33;
pub const LBZ: u32 = 34;
pub const LBZU: u32 = 35;
pub const STW: u32 = 36;
pub const STWU: u32 = 37;
pub const STB: u32 = 38;
pub const STBU: u32 = 39;
pub const LHZ: u32 = 40;
pub const LHA: u32 = 42;
pub const LHAU: u32 = 43;
pub const STH: u32 = 44;
pub const STHU: u32 = 45;
/// `ld`, `ldu` and `lwa`, by the two lowest bits: 0, 1 and 2.
pub const LD: u32 = 58;
/// `std` and `stdu`, by the two lowest bits: 0 and 1.
pub const STD: u32 = 62;

/// Suffixes of prefixed instructions that have an opcode of their own (1.6.3).
pub const PLWA: u32 = 41;
pub const PLD: u32 = 57;
pub const PSTD: u32 = 61;

/// Of [`XL`]: to the address in LR, in CTR, in TAR (2.4).
pub const BCLR: u32 = 16;
pub const BCCTR: u32 = 528;
pub const BCTAR: u32 = 560;

/// The primary opcode of a word.
#[must_use]
pub const fn primary(word: u32) -> u32 {
    word >> 26
}

/// The extended opcode of an X-form or XL-form word.
#[must_use]
pub const fn extended(word: u32) -> u32 {
    word >> 1 & 0x3ff
}
