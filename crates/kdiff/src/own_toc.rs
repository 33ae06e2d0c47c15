//! Code that was compiled for the kernel's TOC pointer, made to have another one.
//!
//! Calls of the kernel's functions go through a stub, which saves r2 in the caller's frame
//! (ELFv2 2.2.2.1, 24(r1)), and r2 is loaded again behind the call: in place of the `nop` there,
//! and where the compiler has put none, because it knew that the function shares its TOC
//! pointer, behind the function's body. A replaced function is entered with what its caller has
//! in r2; so before it returns it brings that back, as its return convention says.

use crate::parts::{Outside, Part, Piece, Target};
use object::elf;
use ppc64::insn::{self, NOP};
use ppc64::opcode::{B, BC, primary};

/// What a replaced function does before it returns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Returns {
    /// Nothing: the hand-off that diverted the call brings r2 back.
    Plain,
    /// r2 becomes the sum of LR and the word at 12(r1) of the caller's frame.
    Restore,
}

/// Why a function can't be made so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// It ends with a jump to another function: it is gone when that returns.
    TailCall,
    /// It jumps where a register says.
    Computed,
    /// It is too long for a conditional branch to what stands behind it.
    Far,
}

/// What a stub is aligned to, in bytes: it is in one line of the cache.
const STUB_ALIGN: u64 = 32;

/// What the `nop` behind a call becomes: `ld r2,24(r1)`.
const RELOAD: u32 = insn::ld(2, 24, 1);
/// `blr`, and `bclr` without its condition.
const BLR: u32 = 0x4e80_0020;
const BCLR: u32 = 0x4c00_0020;
const BCLR_FORM: u32 = 0xfc00_ffff;
/// `bctr`, without its condition.
const BCCTR: u32 = 0x4c00_0420;
/// The condition and the bit that it looks at: BO and BI.
const CONDITION: u32 = 0x03ff_0000;
/// The bits of BO that make a branch go always.
const ALWAYS: u32 = 0x0280_0000;
/// `b` and `bc` without a target.
const BRANCH: u32 = 0x4800_0000;
const CONDITIONAL: u32 = 0x4000_0000;
const LINK: u32 = 1;
/// Of `b`'s and `bc`'s displacement, what fits.
const FIELD_24: u32 = 0x03ff_fffc;
const FIELD_14: u32 = 0xfffc;

/// `lwa r2,12(r1)`; `mflr r0`; `add r2,r2,r0`; `blr`: with the frame closed, r1 is the
/// caller's, and LR where the function returns to.
const RESTORE: [u32; 4] = [0xe841_000e, 0x7c08_02a6, 0x7c42_0214, BLR];

/// A stub, as the kernel's loader makes them: the proof knows one by its words, and what it leads to
/// by the symbol of the address in them.
pub(crate) fn stub(function: &Outside) -> Piece {
    let words = modload::stub(function.address);
    let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut stub = Piece::new(Part::Text, STUB_ALIGN, bytes);
    stub.name = Some(format!("stub.{}", function.name));
    stub.function = true;
    stub
}

/// Makes a function fit a TOC pointer of the module's own. `stub` gives the piece through
/// which a function of the kernel's is called, by its number; none if it is gcc's call at a
/// function's entry, which the loader takes out.
pub(crate) fn rewrite(
    piece: &mut Piece,
    returns: Returns,
    is_replacement: bool,
    stub: &mut dyn FnMut(usize) -> Option<usize>,
) -> Result<(), Why> {
    let mut words: Vec<u32> = (piece.bytes.as_chunks().0.iter())
        .map(|word| u32::from_le_bytes(*word))
        .collect();
    // Padding is no code, and nothing may run on into what stands behind the body.
    while words.last() == Some(&0) {
        words.pop();
    }
    let body = words.len();
    for tie in &mut piece.ties {
        let at = (tie.offset / 4) as usize;
        if tie.kind != elf::R_PPC64_REL24.0 || at >= body || primary(words[at]) != B {
            continue;
        }
        if words[at] & LINK == 0 {
            match tie.target {
                Target::Piece(_) if !is_replacement => continue,
                _ => return Err(Why::TailCall),
            }
        }
        let Target::Kernel(function) = tie.target else {
            continue;
        };
        let Some(stub) = stub(function) else {
            continue;
        };
        tie.target = Target::Piece(stub);
        tie.addend = 0;
        if words.get(at + 1) == Some(&NOP) {
            words[at + 1] = RELOAD;
            continue;
        }
        // `b` there; `bl stub`, reload, `b` back.
        let there = words.len();
        words[at] = branch(at, there);
        words.extend([BRANCH | LINK, RELOAD, branch(there + 2, at + 1)]);
        tie.offset = 4 * there as u64;
    }
    if is_replacement && returns == Returns::Restore {
        let restore = words.len();
        let mut used = false;
        for (at, word) in words[..body].iter_mut().enumerate() {
            if *word & BCLR_FORM & !CONDITION == BCLR {
                *word = match *word & ALWAYS == ALWAYS {
                    true => branch(at, restore),
                    false => conditional(*word & CONDITION, at, restore).ok_or(Why::Far)?,
                };
                used = true;
            } else if *word & BCLR_FORM & !CONDITION == BCCTR {
                return Err(Why::Computed);
            }
        }
        if used {
            words.extend(RESTORE);
        }
    }
    piece.bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    piece.size = piece.bytes.len() as u64;
    Ok(())
}

/// `b` from one word of a function to another.
fn branch(from: usize, to: usize) -> u32 {
    let bytes = 4 * (to as i64 - from as i64);
    BRANCH | bytes as u32 & FIELD_24
}

/// `bc` from one word of a function to another, if it is near enough.
fn conditional(condition: u32, from: usize, to: usize) -> Option<u32> {
    let bytes = i16::try_from(4 * (to as i64 - from as i64)).ok()?;
    let word = CONDITIONAL | condition | u32::from(bytes as u16) & FIELD_14;
    (primary(word) == BC).then_some(word)
}
