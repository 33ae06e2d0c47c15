//! The few instruction words that the kernel writes into code or looks for in
//! it. Sections are those of the ISA, Book I, unless they say otherwise.
//!
//! Registers are numbers from 0 to 31. A number that is none, or a
//! displacement that an instruction can't hold, is a mistake in the kernel's
//! source: the constructors are `const`, so that it stops the build, and they
//! panic where they are not called as such. What depends on an address is an
//! error instead: see [`branch`].

use crate::opcode::{self, extended, primary};
use core::{error, fmt};

/// Does nothing: `ori 0,0,0` (3.3.13).
pub const NOP: u32 = 0x6000_0000;
/// `mflr r0` (3.3.17): the first word of a patchable function.
pub const MFLR_R0: u32 = 0x7c08_02a6;
/// Returns to LR: `bclr 20,0,0` (2.4).
pub const BLR: u32 = 0x4e80_0020;
/// Program interrupt without condition: `tw 31,0,0` (3.3.11).
pub const TRAP: u32 = 0x7fe0_0008;
/// `td 1,RA,RB`, with 0 for both registers: a program interrupt when RA is the higher one,
/// without sign (3.3.11).
const TRAP_IF_HIGHER: u32 = opcode::X << 26 | 1 << 21 | 68 << 1;

/// Whether a word is `tdlgt`: a trap when one register is higher than another, without
/// sign (3.3.11).
#[must_use]
pub const fn is_trap_if_higher(word: u32) -> bool {
    const REGISTERS: u32 = 0x3ff << 11;
    word & !REGISTERS == TRAP_IF_HIGHER
}

/// A load-and-reserve or a store-conditional (ISA Book II, 4.6.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Atomic {
    /// Bytes of the operand.
    pub bytes: u8,
    /// Whether it is the store.
    pub stores: bool,
    /// The register that is loaded or stored.
    pub register: usize,
    /// The registers that add up to the address; a base of 0 is the number 0.
    pub base: usize,
    /// See `base`.
    pub index: usize,
}

/// The atomic instruction that a word is, if it is one of up to eight bytes.
#[must_use]
pub const fn atomic(word: u32) -> Option<Atomic> {
    let (bytes, stores) = match (primary(word), extended(word), word & 1) {
        (opcode::X, 52, _) => (1, false),
        (opcode::X, 116, _) => (2, false),
        (opcode::X, 20, _) => (4, false),
        (opcode::X, 84, _) => (8, false),
        (opcode::X, 694, 1) => (1, true),
        (opcode::X, 726, 1) => (2, true),
        (opcode::X, 150, 1) => (4, true),
        (opcode::X, 214, 1) => (8, true),
        _ => return None,
    };
    Some(Atomic {
        bytes,
        stores,
        register: (word >> 21 & 31) as usize,
        base: (word >> 16 & 31) as usize,
        index: (word >> 11 & 31) as usize,
    })
}

/// The furthest that an I-form branch reaches downwards, in bytes (2.4).
pub const BRANCH_LOWEST: i64 = -0x200_0000;
/// The furthest that an I-form branch reaches upwards, in bytes (2.4).
pub const BRANCH_HIGHEST: i64 = 0x1ff_fffc;

/// Primary opcode of the I-form branches (2.4).
const BRANCH: u32 = opcode::B << 26;
/// The bits of an I-form branch that hold its displacement: LI (1.6.1).
const LI: u32 = 0x03ff_fffc;
/// The address is absolute: AA.
const ABSOLUTE: u32 = 2;
/// The address behind the branch goes to LR: LK.
const LINK: u32 = 1;

/// Why there is no branch from one address to the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BranchError {
    /// One of the two is not a multiple of 4.
    Misaligned {
        /// Where the branch would be.
        from: u64,
        /// Where it would lead.
        to: u64,
    },
    /// They are too far apart.
    OutOfRange {
        /// Where the branch would be.
        from: u64,
        /// Where it would lead.
        to: u64,
        /// Bytes from the one to the other.
        displacement: i64,
    },
}

impl fmt::Display for BranchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Misaligned { from, to } => write!(
                f,
                "no branch from {from:#x} to {to:#x}: instructions are at multiples of 4"
            ),
            Self::OutOfRange {
                from,
                to,
                displacement,
            } => {
                let sign = if displacement < 0 { "-" } else { "" };
                write!(
                    f,
                    "no branch from {from:#x} to {to:#x}: the displacement {sign}{:#x} is not in -{:#x}..={:#x}",
                    displacement.unsigned_abs(),
                    BRANCH_LOWEST.unsigned_abs(),
                    BRANCH_HIGHEST,
                )
            }
        }
    }
}

impl error::Error for BranchError {}

/// Where a branch leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Branch {
    /// The address of the next instruction.
    pub target: u64,
    /// Whether it is a call: the address behind it goes to LR.
    pub link: bool,
}

/// `b to`, or `bl to` if `link`, for the word at `from` (2.4). Addresses wrap
/// around, as the processor's do.
///
/// # Errors
/// If an address is not a multiple of 4, or the two are too far apart.
pub const fn branch(from: u64, to: u64, link: bool) -> Result<u32, BranchError> {
    if (from | to) & 3 != 0 {
        return Err(BranchError::Misaligned { from, to });
    }
    let displacement = to.wrapping_sub(from).cast_signed();
    if displacement < BRANCH_LOWEST || displacement > BRANCH_HIGHEST {
        return Err(BranchError::OutOfRange {
            from,
            to,
            displacement,
        });
    }
    Ok(BRANCH | (displacement as u32 & LI) | if link { LINK } else { 0 })
}

/// Where the word at `at` branches to, if it is `b`, `bl`, `ba` or `bla` (2.4).
/// Conditional branches and those through a register give `None`.
#[must_use]
pub const fn branch_target(at: u64, word: u32) -> Option<Branch> {
    if word & (63 << 26) != BRANCH {
        return None;
    }
    // Up, so that the sign of LI is that of the word, and down again.
    let displacement = ((word & LI) << 6).cast_signed() >> 6;
    let base = if word & ABSOLUTE == 0 { at } else { 0 };
    Some(Branch {
        target: base.wrapping_add_signed(displacement as i64),
        link: word & LINK != 0,
    })
}

/// `lis rt,hi16` (3.3.9): `hi16 << 16`, of which bits 32 to 63 are copies of
/// bit 31. With `ori` it loads any address below 2 GiB.
#[must_use]
pub const fn lis(rt: u32, hi16: u16) -> u32 {
    addis(rt, 0, hi16.cast_signed())
}

/// `ori ra,rs,lo16` (3.3.13). Mind the order: the target comes first.
#[must_use]
pub const fn ori(ra: u32, rs: u32, lo16: u16) -> u32 {
    immediate(opcode::ORI, rs, ra, lo16)
}

/// `oris ra,rs,hi16` (3.3.13): `ori` with the high half of a word.
#[must_use]
pub const fn oris(ra: u32, rs: u32, hi16: u16) -> u32 {
    immediate(opcode::ORIS, rs, ra, hi16)
}

/// `addis rt,ra,si` (3.3.9): adds `si << 16`. As `ra`, 0 means the number 0.
#[must_use]
pub const fn addis(rt: u32, ra: u32, si: i16) -> u32 {
    immediate(opcode::ADDIS, rt, ra, si.cast_unsigned())
}

/// `addi rt,ra,si` (3.3.9). As `ra`, 0 means the number 0.
#[must_use]
pub const fn addi(rt: u32, ra: u32, si: i16) -> u32 {
    immediate(opcode::ADDI, rt, ra, si.cast_unsigned())
}

/// `ld rt,ds(ra)` (3.3.2); `ds` is a multiple of 4. As `ra`, 0 means the
/// number 0.
#[must_use]
pub const fn ld(rt: u32, ds: i16, ra: u32) -> u32 {
    assert!(ds & 3 == 0, "ld: displacement not a multiple of 4");
    immediate(opcode::LD, rt, ra, ds.cast_unsigned())
}

/// `std rs,ds(ra)` (3.3.3); `ds` is a multiple of 4. As `ra`, 0 means the
/// number 0.
#[must_use]
pub const fn std(rs: u32, ds: i16, ra: u32) -> u32 {
    assert!(ds & 3 == 0, "std: displacement not a multiple of 4");
    immediate(opcode::STD, rs, ra, ds.cast_unsigned())
}

/// `mtctr rs` (3.3.17).
#[must_use]
pub const fn mtctr(rs: u32) -> u32 {
    0x7c09_03a6 | register(rs) << 21
}

/// `mtlr rs` (3.3.17).
#[must_use]
pub const fn mtlr(rs: u32) -> u32 {
    0x7c08_03a6 | register(rs) << 21
}

/// `bctr`: to the address in CTR (2.4).
#[must_use]
pub const fn bctr() -> u32 {
    0x4e80_0420
}

/// Whether an instruction reads CTR: a branch to it (2.4), one that counts it down, or
/// `mfctr` (3.3.17).
#[must_use]
pub const fn reads_ctr(word: u32) -> bool {
    let counts_down = word >> 21 & 0b00100 == 0;
    match (primary(word), extended(word)) {
        (opcode::BC, _) | (opcode::XL, opcode::BCLR) => counts_down,
        (opcode::XL, opcode::BCCTR) => true,
        (opcode::X, 339) => word >> 11 & 0x3ff == 0x120,
        _ => false,
    }
}

/// `sldi ra,rs,n` (3.3.14): shifts left by `n` bits, 1 to 63. It is `rldicr` that
/// keeps the bits up to 63 - n.
#[must_use]
pub const fn sldi(ra: u32, rs: u32, n: u32) -> u32 {
    assert!(0 < n && n < 64, "sldi: shifts by 1 to 63");
    let last = 63 - n;
    let (sh, me) = (
        (n & 31) << 11 | (n >> 5) << 1,
        (last & 31) << 6 | (last >> 5) << 5,
    );
    0x7800_0004 | register(rs) << 21 | register(ra) << 16 | sh | me
}

/// `rldicl ra,rs,sh,mb` (3.3.14): rotates left by `sh` bits, then clears the
/// `mb` highest ones; both are below 64. With `sh` 0 it is `clrldi ra,rs,mb`.
#[must_use]
pub const fn rldicl(ra: u32, rs: u32, sh: u32, mb: u32) -> u32 {
    assert!(sh < 64 && mb < 64, "rldicl: a bit's number is above 63");
    // The sixth bit of either number stands apart: of `mb` below the other
    // five, of `sh` in the word's second lowest bit.
    opcode::RLD << 26
        | register(rs) << 21
        | register(ra) << 16
        | (sh & 31) << 11
        | (mb & 31) << 6
        | (mb >> 5) << 5
        | (sh >> 5) << 1
}

/// A D-form instruction; a DS-form one is the same with two bits of opcode
/// below the displacement (1.6.1).
const fn immediate(opcode: u32, first: u32, second: u32, low: u16) -> u32 {
    opcode << 26 | register(first) << 21 | register(second) << 16 | low as u32
}

const fn register(number: u32) -> u32 {
    assert!(number < 32, "no such register");
    number
}

mod epilogue;

pub use epilogue::loads_return_address;

#[cfg(test)]
mod tests;
