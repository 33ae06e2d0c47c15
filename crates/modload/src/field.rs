//! From a relocation's value to the bits that change.

use crate::howto::{Field, Howto, Part};

/// Why a value does not go into its field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Misfit {
    /// It does not fit.
    Overflow,
    /// It is not a multiple of this.
    Misaligned(u64),
}

impl Part {
    /// The part of a value, and for one that must fit, all the rest as its sign.
    fn of(self, value: u64) -> u64 {
        // What is added to make up for the lower 16 bits having a sign. The sum
        // is modulo 2^64, as the ABI's notation says.
        let adjusted = value.wrapping_add(0x8000);
        // An arithmetic shift by 16.
        let shifted = |value: u64| (value.cast_signed() >> 16).cast_unsigned();
        match self {
            Self::Whole => value,
            Self::Lo => value & 0xffff,
            Self::Hi => shifted(value),
            Self::Ha => shifted(adjusted),
            Self::High => value >> 16 & 0xffff,
            Self::HighA => adjusted >> 16 & 0xffff,
            Self::Higher => value >> 32 & 0xffff,
            Self::HigherA => adjusted >> 32 & 0xffff,
            Self::Highest => value >> 48,
            Self::HighestA => adjusted >> 48,
        }
    }

    /// Whether the ABI wants to be told if the part does not fit.
    const fn must_fit(self) -> bool {
        matches!(self, Self::Whole | Self::Hi | Self::Ha)
    }
}

impl Howto {
    /// What is at the place afterwards, if `old` is there and `value` goes
    /// there. Of both, only the lowest [`Field::bytes`] mean something.
    pub(crate) fn insert(self, old: u64, value: u64) -> Result<u64, Misfit> {
        let part = self.part.of(value);
        let (bits, mask, multiple) = match self.field {
            Field::None => return Ok(old),
            Field::Doubleword => return Ok(part),
            Field::Prefixed34 => return prefixed(old, part.cast_signed()),
            Field::Signed32 | Field::Either32 => (32, 0xffff_ffff, 1),
            Field::Half16 => (16, 0xffff, 1),
            // The lowest bits of the field belong to the opcode.
            Field::Half16Ds if is_dq_form(old) => (16, 0xfff0, 16),
            Field::Half16Ds => (16, 0xfffc, 4),
            Field::Low14 => (16, 0xfffc, 4),
            Field::Low24 => (26, 0x03ff_fffc, 4),
        };
        let signed = part.cast_signed();
        let limit = 1_i64 << (bits - 1);
        let fits = match self.field {
            _ if !self.part.must_fit() => true,
            Field::Either32 => (-limit..2 * limit).contains(&signed),
            _ => (-limit..limit).contains(&signed),
        };
        if !fits {
            return Err(Misfit::Overflow);
        }
        if !part.is_multiple_of(multiple) {
            return Err(Misfit::Misaligned(multiple));
        }
        Ok(old & !mask | part & mask)
    }
}

/// A prefixed instruction with another displacement. The prefix comes first, so it
/// is the lower word.
fn prefixed(old: u64, value: i64) -> Result<u64, Misfit> {
    const LIMIT: i64 = 1 << 33;
    const MASK: u64 = 0xffff << 32 | 0x3_ffff;
    if !(-LIMIT..LIMIT).contains(&value) {
        return Err(Misfit::Overflow);
    }
    let value = value.cast_unsigned();
    Ok(old & !MASK | (value & 0xffff) << 32 | value >> 16 & 0x3_ffff)
}

/// Whether an instruction with a field of 16 bits that ends in opcode has four
/// bits of opcode there and not two: `lq`, and of primary opcode 61 `lxv` and
/// `stxv` (ISA 3.0, Book I, 1.6.1).
fn is_dq_form(word: u64) -> bool {
    match word >> 26 & 63 {
        56 => true,
        61 => word & 3 == 1,
        _ => false,
    }
}
