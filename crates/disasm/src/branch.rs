//! Branches (ISA Book I, 2.4).
//!
//! The crate `powerpc` takes the lowest bit of BO for a hint, as it was before
//! the ISA's version 2.00. Since then two bits are: "at", 10 for not taken and
//! 11 for taken.

use core::fmt::{self, Display, Formatter};
use powerpc::{CRBit, CRField};
use ppc64::{insn, opcode};

/// A branch, without what it leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Branch {
    form: Form,
    /// When it is taken: BO and BI. `None` for the I-form, which has neither.
    condition: Option<(u32, u32)>,
    link: bool,
    absolute: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// The target is in the word.
    Direct,
    /// The target is in LR.
    Lr,
    /// The target is in CTR.
    Ctr,
}

/// The branch that a word is, if it is one.
pub fn decode(word: u32) -> Option<Branch> {
    let form = match opcode::primary(word) {
        opcode::BC | opcode::B => Form::Direct,
        // A hint in BH is not shown, and so not taken for a branch.
        opcode::XL => match word & 0xfffe {
            0x0020 => Form::Lr,
            0x0420 => Form::Ctr,
            _ => return None,
        },
        _ => return None,
    };
    Some(Branch {
        form,
        condition: (opcode::primary(word) != opcode::B)
            .then_some((word >> 21 & 31, word >> 16 & 31)),
        link: word & 1 != 0,
        absolute: form == Form::Direct && word & 2 != 0,
    })
}

/// Where the word at an address leads, if it is a branch that says so itself.
pub const fn target(address: u64, word: u32) -> Option<u64> {
    if let Some(branch) = insn::branch_target(address, word) {
        return Some(branch.target);
    }
    if opcode::primary(word) != opcode::BC {
        return None;
    }
    let displacement = (word as u16 & 0xfffc).cast_signed();
    let base = if word & 2 == 0 { address } else { 0 };
    Some(base.wrapping_add_signed(displacement as i64))
}

impl Branch {
    /// The mnemonic's beginning, whether a condition field matters, and the
    /// hint; or `None` if BO has no simplified form.
    const fn simplified(self) -> Option<(&'static str, bool, &'static str)> {
        let Some((bo, bi)) = self.condition else {
            return Some(("b", false, ""));
        };
        let hint = match bo {
            6 | 14 | 24 | 26 => "-",
            7 | 15 | 25 | 27 => "+",
            _ => "",
        };
        let counts = bi == 0 && !matches!(self.form, Form::Ctr);
        Some(match bo {
            4 | 6 | 7 => (["bge", "ble", "bne", "bns"][bi as usize & 3], true, hint),
            12 | 14 | 15 => (["blt", "bgt", "beq", "bso"][bi as usize & 3], true, hint),
            16 | 24 | 25 if counts => ("bdnz", false, hint),
            18 | 26 | 27 if counts => ("bdz", false, hint),
            20 if bi == 0 && !matches!(self.form, Form::Direct) => ("b", false, hint),
            _ => return None,
        })
    }

    /// What stands between this and the target.
    pub const fn separator(self) -> &'static str {
        match (self.simplified(), self.condition) {
            (Some((_, true, _)), Some((_, 4..))) | (None, _) => ", ",
            _ => " ",
        }
    }
}

impl Display for Branch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (bo, bi) = self.condition.unwrap_or_default();
        let register = match self.form {
            Form::Direct => "",
            Form::Lr => "lr",
            Form::Ctr => "ctr",
        };
        let link = if self.link { "l" } else { "" };
        let absolute = if self.absolute { "a" } else { "" };
        match self.simplified() {
            None => write!(f, "bc{register}{link}{absolute} {bo}, {}", CRBit(bi as u8)),
            Some((start, field, hint)) => {
                write!(f, "{start}{register}{link}{absolute}{hint}")?;
                match bi / 4 {
                    cr @ 1.. if field => write!(f, " {}", CRField(cr as u8)),
                    _ => Ok(()),
                }
            }
        }
    }
}
