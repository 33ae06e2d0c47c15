//! Modules that keep the kernel's TOC: r2 holds the same wherever their code runs.
//!
//! What may write r2 is the pair of instructions that a function's global entry begins with,
//! which make it the TOC pointer that the module is relocated against; and the reload behind a
//! call through a pointer, around which the compiler keeps r2 at 24(r1). (The same behind
//! the `nop` of a call to the outside is the loader's.)
//!
//! This looks at every word of a function, in the order of their addresses, so that no way
//! is missed. An instruction that the decoder does not know is judged by its two fields
//! that can name a target (ISA, Book I, 1.6): functions of the kernel's have many that are
//! privileged, and of them nothing else is asked here.

use super::flow::violation;
use super::insn::{Action, Insn, bit};
use super::module::{Code, Module, Place};
use super::prefixed;
use super::rule::{Rule, Violation};
use super::state::{R2, TOC_SAVE};
use object::elf;

/// `addis r2,r12,0` and `addi r2,r2,0` (ELFv2 2.3.2.1), without their numbers.
const ENTRY: [u32; 2] = [0x3c4c_0000, 0x3842_0000];
/// The relocations that give them their numbers.
const NUMBERS: [u32; 2] = [elf::R_PPC64_REL16_HA.0, elf::R_PPC64_REL16_LO.0];
/// `bctrl`.
const CALL: u32 = 0x4e80_0421;
/// `std r2,24(r1)`.
const SAVE: u32 = 0xf841_0000 | TOC_SAVE as u32;
/// `ld r2,24(r1)`.
const RELOAD: u32 = 0xe841_0000 | TOC_SAVE as u32;

/// `ori r2,r2,0`, as assemblers end what they fill up to an aligned address.
const FILLER: u32 = 0x6042_0000;

/// The instructions of a function that change r2, or may.
pub fn check(module: &Module<'_>, code: &Code) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut next = match makes_toc(module, code) {
        true => ENTRY.len(),
        false => 0,
    };
    while next < code.words.len() {
        let index = next;
        let (insn, length) = prefixed::at(&code.words, index);
        next += length;
        let is_allowed = is_reload(code, index) || is_filler(module, code, index);
        if writes_r2(&insn, code.words[index]) && !is_allowed {
            found.push(violation(module, code, index, Rule::ChangesToc));
        }
    }
    found
}

/// Whether a function begins by making r2 the module's TOC pointer, from its own address
/// in r12.
fn makes_toc(module: &Module<'_>, code: &Code) -> bool {
    (0..ENTRY.len()).all(|index| {
        let number = module
            .reference(place(code, index))
            .is_some_and(|reference| {
                reference.kind == NUMBERS[index]
                    && reference.name == ".TOC."
                    && reference.addend == 4 * index as i64
            });
        let word = code.words.get(index).map(|word| word & 0xffff_0000);
        number && word == Some(ENTRY[index])
    })
}

/// Where a word is.
fn place(code: &Code, index: usize) -> Place {
    Place {
        offset: code.start.offset + 4 * index as u64,
        ..code.start
    }
}

/// Whether a word leaves r2 as it is, and no relocation makes another one of it.
fn is_filler(module: &Module<'_>, code: &Code, index: usize) -> bool {
    code.words[index] == FILLER && module.reference(place(code, index)).is_none()
}

/// Whether a word is the reload behind a call through a pointer, in a function that saves r2.
fn is_reload(code: &Code, index: usize) -> bool {
    let behind_call = index > 0 && code.words[index - 1] == CALL;
    code.words[index] == RELOAD && behind_call && code.words.contains(&SAVE)
}

/// Whether an instruction writes r2, or may.
fn writes_r2(insn: &Insn, word: u32) -> bool {
    let (rt, ra) = (word >> 21 & 31, word >> 16 & 31);
    match insn.action {
        // All zeros is for good no instruction (1.8.2); a table may begin so behind a function.
        Action::Unknown if word == 0 => false,
        // `lmw`, `lswx` and `lswi` write several.
        Action::Unknown
            if word >> 26 == 46 || word >> 26 == 31 && matches!(word >> 1 & 0x3ff, 533 | 597) =>
        {
            true
        }
        Action::Unknown => rt as usize == R2 || ra as usize == R2,
        _ => insn.writes & bit(R2) != 0,
    }
}
