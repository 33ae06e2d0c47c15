//! What a function does before it returns.

use crate::opcode::*;

/// Register fields of a D-form or DS-form instruction: rt and ra (1.6.1).
const fn fields(word: u32) -> (u32, u32, u32) {
    (primary(word), word >> 21 & 31, word >> 16 & 31)
}

/// Whether code loads a return address from `16(r1)`, the LR save doubleword of the
/// frame that r1 leads to (ELFv2 2.2.2.1), before it branches or moves r1. So it does
/// from where it has given up its own frame to where it has the address.
#[must_use]
pub fn loads_return_address(code: impl Iterator<Item = u32>) -> bool {
    const LR_SAVE: u32 = 16;
    for word in code {
        let (opcode, rt, ra) = fields(word);
        match opcode {
            // ld rt,16(r1); its low bits tell it from ldu and lwa.
            LD if ra == 1 && word & 0xffff == LR_SAVE => return true,
            // Branches: bc, sc, b; bclr, bcctr, bctar, and returns from interrupts.
            BC | SC | B => return false,
            XL if matches!(extended(word), BCLR | BCCTR | BCTAR | 18 | 82 | 274) => return false,
            // addi, addis, ld and lwa into r1; anything that updates it: stdu, ldu.
            ADDI | ADDIS | LD if rt == 1 => return false,
            LD | STD if ra == 1 && word & 3 == 1 => return false,
            // or: mr r1,x; its destination is the second field.
            X if ra == 1 && extended(word) == 444 => return false,
            // Nothing is there.
            0 => return false,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::loads_return_address;
    use crate::insn;

    fn check(words: &[u32]) -> bool {
        loads_return_address(words.iter().copied())
    }

    #[test]
    fn epilogues_are_known() {
        let load = insn::ld(0, 16, 1);
        assert!(check(&[load]));
        assert!(check(&[
            insn::ld(31, -8, 1),
            insn::NOP,
            insn::ld(12, 16, 1)
        ]));
        assert!(check(&[0x8181_0008, load]), "lwz r12,8(r1)");
        assert!(check(&[0x4c00_012c, load]), "isync");
    }

    #[test]
    fn other_code_is_not() {
        let load = insn::ld(0, 16, 1);
        assert!(!check(&[]));
        assert!(!check(&[insn::NOP, insn::ld(0, 16, 2), insn::ld(0, 24, 1)]));
        assert!(!check(&[insn::addi(1, 1, 112), load]), "its own frame");
        assert!(!check(&[insn::ld(1, 0, 1), load]), "the same");
        assert!(!check(&[0x7fe1_fb78, load]), "mr r1,r31");
        assert!(!check(&[0xf821_ffe1, load]), "stdu r1,-32(r1)");
        assert!(!check(&[0x4e80_0020, load]), "blr");
        assert!(!check(&[0x4e80_0420, load]), "bctr");
        assert!(!check(&[0x4c00_0024, load]), "rfid");
        assert!(!check(&[0x4800_0009, load]), "bl");
        assert!(!check(&[0x4182_0008, load]), "beq");
        assert!(!check(&[0, load]));
    }
}
