//! Prefixed instructions: two words, of which the first has primary opcode 1 (ISA
//! 3.1, Book I, 1.6.3). Known are loads, stores and `paddi` of general registers,
//! as compilers emit them for a processor with a vector unit that they must not use.

use super::decode::{self, decode};
use super::insn::{Action, Address, Insn, Operand, Width, bit};

/// The instruction that starts at a word, and how many words it has. One that is
/// not known has one, so that no word behind it is missed.
pub fn at(words: &[u32], index: usize) -> (Insn, usize) {
    let word = words[index];
    let known = words.get(index + 1).and_then(|&suffix| both(word, suffix));
    known.map_or_else(|| (decode(word), 1), |insn| (insn, 2))
}

/// What two words are together, if the first is a prefix, and that is known.
fn both(prefix: u32, suffix: u32) -> Option<Insn> {
    // Opcode, type, and of the others all but R and the displacement are zero.
    let kind = prefix & !(1 << 20 | 0x3_ffff);
    let relative = prefix >> 20 & 1 == 1;
    let bits = u64::from(prefix & 0x3_ffff) << 16 | u64::from(suffix & 0xffff);
    let displacement = (bits << 30).cast_signed() >> 30;
    let (rt, ra) = ((suffix >> 21 & 31) as usize, (suffix >> 16 & 31) as usize);
    let at = match (relative, ra) {
        (false, 0) => Address::number(displacement),
        (false, _) => Address {
            base: Some(ra),
            add: Operand::Number(displacement),
        },
        (true, 0) => Address {
            base: None,
            add: Operand::FromHere(displacement),
        },
        // No such form.
        (true, _) => return None,
    };
    let load = |width| Some(decode::load_of(rt, at, width));
    let store = |size| Some(decode::store_of(rt, at, size));
    // Type 0 is 8LS, type 2 MLS.
    match (kind, suffix >> 26) {
        // `paddi`, which is also `pla` and `pli`.
        (0x0600_0000, 14) => {
            let (base, add) = (at.base, at.add);
            let action = Action::Add { rt, base, add };
            Some(Insn::new(at.reads(), bit(rt), action))
        }
        // `plwz`, `plbz`, `plhz`, `plha`; `pstw`, `pstb`, `psth`.
        (0x0600_0000, 32 | 34 | 40 | 42) => load(Width::Other),
        (0x0600_0000, 36) => store(4),
        (0x0600_0000, 38) => store(1),
        (0x0600_0000, 44) => store(2),
        // `plwa`, `pld`, `pstd`.
        (0x0400_0000, 41) => load(Width::SignedWord),
        (0x0400_0000, 57) => load(Width::Doubleword),
        (0x0400_0000, 61) => store(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As GNU as 2.40 assembles them.
    #[test]
    fn displacements_have_34_bits_and_a_sign() {
        let add = |words: &[u32]| match at(words, 0) {
            (
                Insn {
                    action: Action::Add { rt: 3, base, add },
                    ..
                },
                2,
            ) => (base, add),
            other => panic!("{other:?}"),
        };
        // pli r3,-1; paddi r3,r1,-0x12345678; pla r3,0x123456789
        let found = add(&[0x0603_ffff, 0x3860_ffff]);
        assert_eq!(found, (None, Operand::Number(-1)));
        let found = add(&[0x0603_edcb, 0x3861_a988]);
        assert_eq!(found, (Some(1), Operand::Number(-0x1234_5678)));
        let found = add(&[0x0611_2345, 0x3860_6789]);
        assert_eq!(found, (None, Operand::FromHere(0x1_2345_6789)));
    }

    #[test]
    fn what_is_not_known_is_one_word() {
        // pld r3,0(r1) with the bit R; plxv vs3,0(0),1; a prefix with a bit that is
        // reserved; one at the end.
        for words in [
            &[0x0410_0000, 0xe461_0000][..],
            &[0x0410_0000, 0xc860_0000],
            &[0x0630_0000, 0x3860_0000],
            &[0x0610_0000],
        ] {
            assert_eq!(at(words, 0), (Insn::UNKNOWN, 1), "{words:x?}");
        }
    }
}
