//! What each relocation that the loader knows is to do: the ABI's table
//! (ELFv2 ABI 3.5.4), without the types that only a linker makes, thread-local
//! storage and inline PLT calls. Of those for prefixed instructions there are the
//! ones that are relative to the program counter, as compilers make them.

use crate::references::KINDS;

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
    let (value, part, field) = match kind {
        0 => (Value::Nothing, Part::Whole, Field::None),      // NONE
        1 => (Value::Absolute, Part::Whole, Field::Either32), // ADDR32
        3 => (Value::Absolute, Part::Whole, Field::Half16),   // ADDR16
        4 => (Value::Absolute, Part::Lo, Field::Half16),      // ADDR16_LO
        5 => (Value::Absolute, Part::Hi, Field::Half16),      // ADDR16_HI
        6 => (Value::Absolute, Part::Ha, Field::Half16),      // ADDR16_HA
        10 => (Value::Call, Part::Whole, Field::Low24),       // REL24
        11 => (Value::Conditional, Part::Whole, Field::Low14),// REL14
        14 => (Value::Got, Part::Whole, Field::Half16),       // GOT16
        15 => (Value::Got, Part::Lo, Field::Half16),          // GOT16_LO
        16 => (Value::Got, Part::Hi, Field::Half16),          // GOT16_HI
        17 => (Value::Got, Part::Ha, Field::Half16),          // GOT16_HA
        24 => (Value::Absolute, Part::Whole, Field::Either32),// UADDR32
        25 => (Value::Absolute, Part::Whole, Field::Half16),  // UADDR16
        26 => (Value::Relative, Part::Whole, Field::Signed32),// REL32
        38 => (Value::Absolute, Part::Whole, Field::Doubleword),// ADDR64
        39 => (Value::Absolute, Part::Higher, Field::Half16), // ADDR16_HIGHER
        40 => (Value::Absolute, Part::HigherA, Field::Half16),// ADDR16_HIGHERA
        41 => (Value::Absolute, Part::Highest, Field::Half16),// ADDR16_HIGHEST
        42 => (Value::Absolute, Part::HighestA, Field::Half16),// ADDR16_HIGHESTA
        43 => (Value::Absolute, Part::Whole, Field::Doubleword),// UADDR64
        44 => (Value::Relative, Part::Whole, Field::Doubleword),// REL64
        47 => (Value::TocRelative, Part::Whole, Field::Half16),// TOC16
        48 => (Value::TocRelative, Part::Lo, Field::Half16),  // TOC16_LO
        49 => (Value::TocRelative, Part::Hi, Field::Half16),  // TOC16_HI
        50 => (Value::TocRelative, Part::Ha, Field::Half16),  // TOC16_HA
        51 => (Value::Toc, Part::Whole, Field::Doubleword),   // TOC
        56 => (Value::Absolute, Part::Whole, Field::Half16Ds),// ADDR16_DS
        57 => (Value::Absolute, Part::Lo, Field::Half16Ds),   // ADDR16_LO_DS
        58 => (Value::Got, Part::Whole, Field::Half16Ds),     // GOT16_DS
        59 => (Value::Got, Part::Lo, Field::Half16Ds),        // GOT16_LO_DS
        63 => (Value::TocRelative, Part::Whole, Field::Half16Ds),// TOC16_DS
        64 => (Value::TocRelative, Part::Lo, Field::Half16Ds),// TOC16_LO_DS
        109 => (Value::Nothing, Part::Whole, Field::None),    // TOCSAVE
        110 => (Value::Absolute, Part::High, Field::Half16),  // ADDR16_HIGH
        111 => (Value::Absolute, Part::HighA, Field::Half16), // ADDR16_HIGHA
        116 => (Value::CallWithoutToc, Part::Whole, Field::Low24),// REL24_NOTOC
        118 => (Value::Nothing, Part::Whole, Field::None),    // ENTRY
        123 => (Value::Nothing, Part::Whole, Field::None),    // PCREL_OPT
        124 => (Value::CallWithoutToc, Part::Whole, Field::Low24), // REL24_P9NOTOC
        132 => (Value::Relative, Part::Whole, Field::Prefixed34),// PCREL34
        133 => (Value::GotRelative, Part::Whole, Field::Prefixed34),// GOT_PCREL34
        240 => (Value::Relative, Part::High, Field::Half16),  // REL16_HIGH
        241 => (Value::Relative, Part::HighA, Field::Half16), // REL16_HIGHA
        242 => (Value::Relative, Part::Higher, Field::Half16),// REL16_HIGHER
        243 => (Value::Relative, Part::HigherA, Field::Half16),// REL16_HIGHERA
        244 => (Value::Relative, Part::Highest, Field::Half16),// REL16_HIGHEST
        245 => (Value::Relative, Part::HighestA, Field::Half16),// REL16_HIGHESTA
        249 => (Value::Relative, Part::Whole, Field::Half16), // REL16
        250 => (Value::Relative, Part::Lo, Field::Half16),    // REL16_LO
        251 => (Value::Relative, Part::Hi, Field::Half16),    // REL16_HI
        252 => (Value::Relative, Part::Ha, Field::Half16),    // REL16_HA
        _ => return None,
    };
    Some(Howto { value, part, field })
}
