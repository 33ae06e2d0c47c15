//! Instructions of primary opcode 31.

use super::decode::{load_x, store_x, trap_x, zero_line};
use super::insn::{Action, Insn, Mask, Operand, Width};

/// What a word with primary opcode 31 is.
pub fn decode(word: u32) -> Insn {
    let field = |shift: u32| (word >> shift & 31) as usize;
    let bit = |register: usize| -> Mask { 1 << register };
    let (t, a, b) = (field(21), field(16), field(11));
    let (rt, ra, rb) = (bit(t), bit(a), bit(b));
    // As a base, r0 is the number 0.
    let base = if a == 0 { 0 } else { ra };
    let plain = |reads, writes| Insn {
        reads,
        writes,
        action: Action::Plain,
    };
    // `isel` (3.3.15) has one more operand where the others have opcode.
    if word >> 1 & 31 == 15 {
        return plain(base | rb, rt);
    }
    let xo = word >> 1 & 0x3ff;
    match xo {
        // `cmp`, `cmpl`; `tw`, `td`.
        0 | 32 => plain(ra | rb, 0),
        4 | 68 => trap_x(word),
        // `mfcr`, `mtcrf`; `setb`, `setbc`, `setbcr`, `setnbc`, `setnbcr`.
        19 => plain(0, rt),
        144 => plain(rt, 0),
        128 | 384 | 416 | 448 | 480 => plain(0, rt),
        // Loads: word, doubleword, byte, halfword, algebraic; reserving;
        // byte-reversed. Then those that update, then floating-point ones.
        21 => load_x(word, true, Width::Doubleword, false),
        341 => load_x(word, true, Width::SignedWord, false),
        23 | 87 | 279 | 343 | 20 | 84 | 52 | 116 | 534 | 790 | 532 => {
            load_x(word, true, Width::Other, false)
        }
        53 => load_x(word, true, Width::Doubleword, true),
        55 | 119 | 311 | 375 | 373 => load_x(word, true, Width::Other, true),
        535 | 599 | 855 | 887 => load_x(word, false, Width::Other, false),
        567 | 631 => load_x(word, false, Width::Other, true),
        // Stores of doubleword, word, byte, halfword: plain, byte-reversed,
        // conditional; those that update; floating-point ones.
        149 | 660 | 214 => store_x(word, 8, true, false),
        151 | 662 | 150 => store_x(word, 4, true, false),
        215 | 694 => store_x(word, 1, true, false),
        407 | 918 | 726 => store_x(word, 2, true, false),
        181 => store_x(word, 8, true, true),
        183 => store_x(word, 4, true, true),
        247 => store_x(word, 1, true, true),
        439 => store_x(word, 2, true, true),
        663 | 983 => store_x(word, 4, false, false),
        695 => store_x(word, 4, false, true),
        727 => store_x(word, 8, false, false),
        759 => store_x(word, 8, false, true),
        // `or` of a register with itself into itself says how fast the thread may run (Book II,
        // 3.2).
        444 if t == a && t == b => plain(0, 0),
        // `or`, which is also `mr`.
        444 if t == b => Insn {
            reads: rt,
            writes: ra,
            action: Action::Or {
                ra: a,
                rs: t,
                value: 0,
            },
        },
        // Logic and shifts of two registers.
        28 | 60 | 124 | 284 | 316 | 412 | 444 | 476 => plain(rt | rb, ra),
        24 | 536 | 27 | 539 | 792 | 794 | 508 | 252 => plain(rt | rb, ra),
        // `cntlzdm`, `cnttzdm`, `pdepd`, `pextd`, `cfuged`.
        59 | 571 | 156 | 188 | 220 => plain(rt | rb, ra),
        // `modud`, `moduw`, `modsd`, `modsw`.
        265 | 267 | 777 | 779 => plain(ra | rb, rt),
        // `extswsli`; `brw`, `brd`, `brh`.
        890 | 891 | 155 | 187 | 219 => plain(rt, ra),
        // Of one: counts, extensions, parity; `srawi`, `sradi`.
        26 | 58 | 538 | 570 | 954 | 922 | 986 | 122 | 378 | 506 | 154 | 186 => plain(rt, ra),
        824 | 826 | 827 => plain(rt, ra),
        // `mfmsr`; `mtmsr`, `mtmsrd` (Book III, 5.4.4): interrupts off and on, in code of the
        // kernel's.
        83 => plain(0, rt),
        146 | 178 => plain(rt, 0),
        // `sync`, `eieio`; cache hints and flushes.
        598 | 854 => plain(0, 0),
        278 | 246 | 54 | 86 | 982 => plain(base | rb, 0),
        1014 => zero_line(word),
        339 | 371 | 467 => special(word, t),
        266 | 778 => Insn {
            reads: ra | rb,
            writes: rt,
            action: Action::Add {
                rt: t,
                base: Some(a),
                add: Operand::Register(b),
            },
        },
        _ => match xo & 0x1ff {
            // `neg`, and additions and subtractions of one register and a bit.
            104 | 200 | 202 | 232 | 234 => plain(ra, rt),
            // Additions and subtractions; multiplications; divisions.
            8 | 10 | 40 | 136 | 138 => plain(ra | rb, rt),
            9 | 11 | 73 | 75 | 233 | 235 => plain(ra | rb, rt),
            393 | 395 | 425 | 427 | 457 | 459 | 489 | 491 => plain(ra | rb, rt),
            _ => Insn {
                reads: 0,
                writes: 0,
                action: Action::Unknown,
            },
        },
    }
}

/// `mfspr`, `mftb`, `mtspr` (3.3.17): of XER, LR, CTR and the timebase.
fn special(word: u32, register: usize) -> Insn {
    let number = (word >> 16 & 31) | (word >> 11 & 31) << 5;
    let mask: Mask = 1 << register;
    let moves_to = word >> 1 & 0x3ff == 467;
    let (reads, writes) = if moves_to { (mask, 0) } else { (0, mask) };
    let action = match (moves_to, number) {
        (true, 8) => Action::ToLr { rs: register },
        (false, 8) => Action::FromLr { rt: register },
        // To read any other changes nothing.
        (_, 1 | 9) | (false, _) => Action::Plain,
        _ => Action::Unknown,
    };
    Insn {
        reads,
        writes,
        action,
    }
}
