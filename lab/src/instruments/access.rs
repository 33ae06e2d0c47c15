//! What an instruction loads or stores, and where.

use ppc64::opcode::*;

/// A load or a store.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// It writes memory.
    pub stores: bool,
    /// The register that is loaded or stored.
    pub register: usize,
    /// Where.
    pub address: u64,
    /// Its width in bytes.
    pub bytes: u32,
    /// The base register is r0, which means the number 0.
    pub no_base: bool,
}

/// An instruction in memory, with the word behind it, which counts if the first is a prefix.
#[derive(Clone, Copy, Debug)]
pub struct Instruction {
    /// Where.
    pub address: u64,
    /// Its word.
    pub word: u32,
    /// The next one.
    pub suffix: u32,
}

/// An instruction of D-form or DS-form, or its prefixed form (ISA Book I, 1.6).
pub struct Form {
    /// The instruction, or the one that a prefixed one extends.
    pub word: u32,
    /// What is added to the base.
    pub displacement: i64,
    /// The displacement is from the instruction, and not from a register.
    pub is_relative: bool,
}

/// A prefixed instruction's suffix as the instruction that it extends, in D-form or
/// DS-form, without displacement (ISA Book I, 1.6.3). Only those that PC-relative code is
/// made of.
fn unprefixed(at: Instruction) -> Option<u32> {
    let registers = at.suffix & 0x3ff << 16;
    Some(match (at.word >> 24 & 3, primary(at.suffix)) {
        (2, opcode @ (ADDI | LWZ | LBZ | STW | STB | LHZ | LHA | STH)) => opcode << 26 | registers,
        (0, PLD) => LD << 26 | registers,
        (0, PLWA) => LD << 26 | registers | 2,
        (0, PSTD) => STD << 26 | registers,
        _ => return None,
    })
}

impl Form {
    /// That of an instruction; none of a prefixed one that is not looked into.
    #[must_use]
    pub fn of(at: Instruction) -> Option<Self> {
        if primary(at.word) != PREFIX {
            let mask = if primary(at.word) >= LD { !3 } else { !0 };
            return Some(Self {
                word: at.word,
                displacement: i64::from((at.word as u16 & mask).cast_signed()),
                is_relative: false,
            });
        }
        let high = u64::from(at.word & 0x3_ffff);
        let low = u64::from(at.suffix & 0xffff);
        Some(Self {
            word: unprefixed(at)?,
            displacement: ((high << 16 | low) << 30).cast_signed() >> 30,
            is_relative: at.word & 1 << 20 != 0,
        })
    }

    /// The register that is loaded, stored or set.
    #[must_use]
    pub fn register(&self) -> usize {
        (self.word >> 21 & 31) as usize
    }

    /// The register that the displacement is added to.
    #[must_use]
    pub fn base(&self) -> usize {
        (self.word >> 16 & 31) as usize
    }
}

/// The access of an instruction that is about to be executed with these registers, if it is
/// one of D-form or DS-form or a prefixed form of those. Others are not looked into.
#[must_use]
pub fn access(at: Instruction, gpr: &[u64; 32]) -> Option<Access> {
    let form = Form::of(at)?;
    let (bytes, stores) = match (primary(form.word), form.word & 3) {
        (LD, 0 | 1) => (8, false),
        (LD, 2) => (4, false),
        (STD, 0 | 1) => (8, true),
        (LWZ | LWZU, _) => (4, false),
        (LBZ | LBZU, _) => (1, false),
        (LHZ..=LHAU, _) => (2, false),
        (STW | STWU, _) => (4, true),
        (STB | STBU, _) => (1, true),
        (STH | STHU, _) => (2, true),
        _ => return None,
    };
    let from = match form.base() {
        _ if form.is_relative => at.address,
        0 => 0,
        base => gpr[base],
    };
    Some(Access {
        stores,
        register: form.register(),
        address: from.wrapping_add_signed(form.displacement),
        bytes,
        no_base: !form.is_relative && form.base() == 0,
    })
}

/// What an instruction writes to memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Written {
    /// Nothing.
    Nothing,
    /// From here on, so many bytes at most.
    At(u64, u64),
    /// Maybe something: it is of a kind that is not looked into.
    Unknown,
}

/// Extended opcodes of stores of X-form (ISA Book I, 3.3.3 and 3.3.5; Book II, 4.6.2): `stdx`,
/// `stwcx.`, `stwx`, `stdux`, `stwux`, `stdcx.`, `stbx`, `stbux`, `sthx`, `sthux`, `stdbrx`,
/// `stwbrx`, `stbcx.`, `sthcx.`, `sthbrx`. The kernel uses no floating-point or vector register.
const INDEXED: [u32; 15] = [
    149, 150, 151, 181, 183, 214, 215, 247, 407, 439, 660, 662, 694, 726, 918,
];

/// What an instruction is going to write that is about to be executed with these registers.
#[must_use]
pub fn written(at: Instruction, gpr: &[u64; 32]) -> Written {
    /// `stmw`, and stores of floating-point and vector registers.
    const OTHERS: [u32; 6] = [47, 52, 53, 54, 55, 61];
    match (access(at, gpr), primary(at.word)) {
        (Some(access), _) if access.stores => Written::At(access.address, access.bytes.into()),
        (Some(_), _) => Written::Nothing,
        (None, X) if INDEXED.contains(&extended(at.word)) => {
            let (a, b) = (at.word >> 16 & 31, at.word >> 11 & 31);
            let base = if a == 0 { 0 } else { gpr[a as usize] };
            Written::At(base.wrapping_add(gpr[b as usize]), 8)
        }
        // A prefixed `addi` is a form of ours, and no access.
        (None, PREFIX) if Form::of(at).is_none() => Written::Unknown,
        (None, STD) => Written::Unknown,
        (None, opcode) if OTHERS.contains(&opcode) => Written::Unknown,
        (None, _) => Written::Nothing,
    }
}
