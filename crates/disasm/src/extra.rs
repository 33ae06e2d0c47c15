//! Instructions of the kernel's code that the crate `powerpc` lacks.

use core::fmt::{self, Display, Formatter};
use powerpc::{CRBit, GPR};
use ppc64::opcode;

/// An operand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operand {
    /// There is none in this place.
    None,
    /// A general-purpose register.
    Gpr(u32),
    /// A bit of the condition register.
    CrBit(u32),
    /// A small number.
    Number(u32),
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::None => Ok(()),
            Self::Gpr(number) => GPR(number as u8).fmt(f),
            Self::CrBit(number) => CRBit(number as u8).fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// Mnemonic and operands of a word, if it is one of these.
pub fn decode(word: u32) -> Option<(&'static str, [Operand; 4])> {
    use Operand::{CrBit, Gpr, None as No, Number};
    let field = |shift: u32| word >> shift & 31;
    let (rt, ra, rb) = (Gpr(field(21)), Gpr(field(16)), Gpr(field(11)));
    // `sc` (ISA Book I, 3.3.1). The hypervisor's is level 1.
    match word {
        0x4400_0002 => return Some(("sc", [No; 4])),
        0x4400_0022 => return Some(("sc", [Number(1), No, No, No])),
        // `or 27, 27, 27` is a hint (Book II, 3.2).
        0x7f7b_db78 => return Some(("yield", [No; 4])),
        _ => {}
    }
    if opcode::primary(word) != opcode::X {
        return None;
    }
    // `isel` (3.3.15) has one more operand where the others have opcode.
    if word & 0x3f == 15 << 1 {
        return Some(("isel", [rt, ra, rb, CrBit(field(6))]));
    }
    let indexed = [rt, ra, rb, No];
    let unary = [ra, rt, No, No];
    // The extended opcode and Rc.
    match (opcode::extended(word), word & 1, field(11)) {
        // Load and reserve, store conditional (Book II, 4.6.2). EH, the hint
        // in the lowest bit of the loads, is not known here.
        (52, 0, _) => Some(("lbarx", indexed)),
        (116, 0, _) => Some(("lharx", indexed)),
        (694, 1, _) => Some(("stbcx.", indexed)),
        (726, 1, _) => Some(("sthcx.", indexed)),
        // Byte-reversed (3.3.5).
        (532, 0, _) => Some(("ldbrx", indexed)),
        (660, 0, _) => Some(("stdbrx", indexed)),
        // `td` (3.3.11): trap if the first is below or above the second, as numbers
        // without sign, or unless they are equal.
        (68, 0, _) => match field(21) {
            1 => Some(("tdlgt", [ra, rb, No, No])),
            2 => Some(("tdllt", [ra, rb, No, No])),
            24 => Some(("tdne", [ra, rb, No, No])),
            _ => None,
        },
        // `mtspr` (Book III, 5.4.4) of PID, which has a name of its own.
        (467, 0, 1) if field(16) == 16 => Some(("mtpidr", [rt, No, No, No])),
        // Population count (3.3.13).
        (378, 0, 0) => Some(("popcntw", unary)),
        (506, 0, 0) => Some(("popcntd", unary)),
        // `mtocrf` (3.3.17), which `mtcrf` is without bit 11.
        (144, 0, _) if word & 0x0010_0800 == 0x0010_0000 => {
            Some(("mtocrf", [Number(word >> 12 & 0xff), rt, No, No]))
        }
        _ => None,
    }
}
