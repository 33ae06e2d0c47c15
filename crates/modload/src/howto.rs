//! What each relocation that the loader knows is to do: the ABI's table
//! (ELFv2 ABI 3.5.4), without the types that only a linker makes, thread-local
//! storage and inline PLT calls. Of those for prefixed instructions there are the
//! ones that are relative to the program counter, as compilers make them.

use crate::{names::*, references::KINDS};
use object::elf::*;

/// What a relocation computes. S is the symbol's address, A the addend, P the
/// place's address, G the address of the GOT entry for S + A.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    /// Nothing: it is a hint for a linker.
    Nothing,
    /// S + A.
    Absolute,
    /// S + A - P.
    Relative,
    /// S + A - `.TOC.`.
    TocRelative,
    /// `.TOC.` + A.
    Toc,
    /// G - `.TOC.`.
    Got,
    /// G - P.
    GotRelative,
    /// Where a call from code with a TOC goes, minus P.
    Call,
    /// Where a call from code without one goes, minus P.
    CallWithoutToc,
    /// Where a conditional branch from code with a TOC goes, minus P.
    Conditional,
}

/// Which part of the value goes to the place (ELFv2 ABI 3.5.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// `#lo`: bits 0 to 15, counted from the lowest.
    Lo,
    /// `#hi`: bits 16 to 63, which must fit.
    Hi,
    /// `#ha`: the same, if `#lo` is to be added with its sign.
    Ha,
    /// `#high`: bits 16 to 31.
    High,
    /// `#higha`: the same, if `#lo` is to be added with its sign.
    HighA,
    /// `#higher`: bits 32 to 47.
    Higher,
    /// `#highera`: the same, if `#lo` is to be added with its sign.
    HigherA,
    /// `#highest`: bits 48 to 63.
    Highest,
    /// `#highesta`: the same, if `#lo` is to be added with its sign.
    HighestA,
}

/// The bits that it changes (ELFv2 ABI 3.5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Field {
    /// None.
    None,
    /// 16 bits.
    Half16,
    /// The displacement of a DS-form or DQ-form instruction.
    Half16Ds,
    /// The displacement of a B-form branch.
    Low14,
    /// The displacement of an I-form branch.
    Low24,
    /// The displacement of a prefixed instruction: 34 bits, of which the prefix has
    /// the upper 18 and the suffix the lower 16 (ISA 3.1, Book I, 1.6.3).
    Prefixed34,
    /// 32 bits, a signed number.
    Signed32,
    /// 32 bits, a number with or without sign, as GNU ld takes it.
    Either32,
    /// 64 bits.
    Doubleword,
}

impl Field {
    /// How many bytes at the place it needs to see.
    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Half16 => 2,
            Self::Half16Ds | Self::Low14 | Self::Low24 | Self::Signed32 | Self::Either32 => 4,
            Self::Prefixed34 | Self::Doubleword => 8,
        }
    }
}

/// A relocation's meaning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Howto {
    pub(crate) value: Value,
    pub(crate) part: Part,
    pub(crate) field: Field,
}

/// What a type means, if the loader knows it.
#[inline]
pub(crate) fn howto(kind: u32) -> Option<Howto> {
    /// All of them: a load for each relocation costs less than the choice.
    static ALL: [Option<Howto>; KINDS] = {
        let mut all = [None; KINDS];
        let mut kind = 0;
        while kind < all.len() {
            all[kind] = meaning(kind as u32);
            kind += 1;
        }
        all
    };
    ALL.get(kind as usize).copied().flatten()
}

/// The ABI's table.
///
/// R_PPC64_REL24_P9NOTOC is gas's word for R_PPC64_REL24_NOTOC where a stub must
/// not use instructions of POWER10, which ours don't.
///
/// R_PPC64_TOCSAVE allows a linker to save r2 elsewhere, R_PPC64_ENTRY to find the
/// TOC another way, and R_PPC64_PCREL_OPT to make one instruction of two: none must
/// be made use of.
#[rustfmt::skip]
const fn meaning(kind: u32) -> Option<Howto> {
    let (value, part, field) = match RelocationType(kind) {
        R_PPC64_NONE => (Value::Nothing, Part::Whole, Field::None),
        R_PPC64_ADDR32 => (Value::Absolute, Part::Whole, Field::Either32),
        R_PPC64_ADDR16 => (Value::Absolute, Part::Whole, Field::Half16),
        R_PPC64_ADDR16_LO => (Value::Absolute, Part::Lo, Field::Half16),
        R_PPC64_ADDR16_HI => (Value::Absolute, Part::Hi, Field::Half16),
        R_PPC64_ADDR16_HA => (Value::Absolute, Part::Ha, Field::Half16),
        R_PPC64_REL24 => (Value::Call, Part::Whole, Field::Low24),
        R_PPC64_REL14 => (Value::Conditional, Part::Whole, Field::Low14),
        R_PPC64_GOT16 => (Value::Got, Part::Whole, Field::Half16),
        R_PPC64_GOT16_LO => (Value::Got, Part::Lo, Field::Half16),
        R_PPC64_GOT16_HI => (Value::Got, Part::Hi, Field::Half16),
        R_PPC64_GOT16_HA => (Value::Got, Part::Ha, Field::Half16),
        R_PPC64_UADDR32 => (Value::Absolute, Part::Whole, Field::Either32),
        R_PPC64_UADDR16 => (Value::Absolute, Part::Whole, Field::Half16),
        R_PPC64_REL32 => (Value::Relative, Part::Whole, Field::Signed32),
        R_PPC64_ADDR64 => (Value::Absolute, Part::Whole, Field::Doubleword),
        R_PPC64_ADDR16_HIGHER => (Value::Absolute, Part::Higher, Field::Half16),
        R_PPC64_ADDR16_HIGHERA => (Value::Absolute, Part::HigherA, Field::Half16),
        R_PPC64_ADDR16_HIGHEST => (Value::Absolute, Part::Highest, Field::Half16),
        R_PPC64_ADDR16_HIGHESTA => (Value::Absolute, Part::HighestA, Field::Half16),
        R_PPC64_UADDR64 => (Value::Absolute, Part::Whole, Field::Doubleword),
        R_PPC64_REL64 => (Value::Relative, Part::Whole, Field::Doubleword),
        R_PPC64_TOC16 => (Value::TocRelative, Part::Whole, Field::Half16),
        R_PPC64_TOC16_LO => (Value::TocRelative, Part::Lo, Field::Half16),
        R_PPC64_TOC16_HI => (Value::TocRelative, Part::Hi, Field::Half16),
        R_PPC64_TOC16_HA => (Value::TocRelative, Part::Ha, Field::Half16),
        R_PPC64_TOC => (Value::Toc, Part::Whole, Field::Doubleword),
        R_PPC64_ADDR16_DS => (Value::Absolute, Part::Whole, Field::Half16Ds),
        R_PPC64_ADDR16_LO_DS => (Value::Absolute, Part::Lo, Field::Half16Ds),
        R_PPC64_GOT16_DS => (Value::Got, Part::Whole, Field::Half16Ds),
        R_PPC64_GOT16_LO_DS => (Value::Got, Part::Lo, Field::Half16Ds),
        R_PPC64_TOC16_DS => (Value::TocRelative, Part::Whole, Field::Half16Ds),
        R_PPC64_TOC16_LO_DS => (Value::TocRelative, Part::Lo, Field::Half16Ds),
        R_PPC64_TOCSAVE => (Value::Nothing, Part::Whole, Field::None),
        R_PPC64_ADDR16_HIGH => (Value::Absolute, Part::High, Field::Half16),
        R_PPC64_ADDR16_HIGHA => (Value::Absolute, Part::HighA, Field::Half16),
        R_PPC64_REL24_NOTOC => (Value::CallWithoutToc, Part::Whole, Field::Low24),
        R_PPC64_ENTRY => (Value::Nothing, Part::Whole, Field::None),
        R_PPC64_PCREL_OPT => (Value::Nothing, Part::Whole, Field::None),
        R_PPC64_REL24_P9NOTOC => (Value::CallWithoutToc, Part::Whole, Field::Low24),
        R_PPC64_PCREL34 => (Value::Relative, Part::Whole, Field::Prefixed34),
        R_PPC64_GOT_PCREL34 => (Value::GotRelative, Part::Whole, Field::Prefixed34),
        R_PPC64_REL16_HIGH => (Value::Relative, Part::High, Field::Half16),
        R_PPC64_REL16_HIGHA => (Value::Relative, Part::HighA, Field::Half16),
        R_PPC64_REL16_HIGHER => (Value::Relative, Part::Higher, Field::Half16),
        R_PPC64_REL16_HIGHERA => (Value::Relative, Part::HigherA, Field::Half16),
        R_PPC64_REL16_HIGHEST => (Value::Relative, Part::Highest, Field::Half16),
        R_PPC64_REL16_HIGHESTA => (Value::Relative, Part::HighestA, Field::Half16),
        R_PPC64_REL16 => (Value::Relative, Part::Whole, Field::Half16),
        R_PPC64_REL16_LO => (Value::Relative, Part::Lo, Field::Half16),
        R_PPC64_REL16_HI => (Value::Relative, Part::Hi, Field::Half16),
        R_PPC64_REL16_HA => (Value::Relative, Part::Ha, Field::Half16),
        _ => return None,
    };
    Some(Howto { value, part, field })
}
