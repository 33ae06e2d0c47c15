//! From words to instructions.
//!
//! Only instructions of the list below are known, those that compilers emit for
//! a processor without vector unit, up to POWER10. Whatever else there is can't be proved.
//! Sections are those of the ISA, Book I, unless they say otherwise.

use super::insn::{Action, Address, Insn, Mask, Operand, Target, Width, bit};

/// The fields of a word (1.6).
#[derive(Clone, Copy)]
struct Word(u32);

impl Word {
    fn opcode(self) -> u32 {
        self.0 >> 26
    }
    /// RT or RS.
    fn rt(self) -> usize {
        (self.0 >> 21 & 31) as usize
    }
    fn ra(self) -> usize {
        (self.0 >> 16 & 31) as usize
    }
    fn rb(self) -> usize {
        (self.0 >> 11 & 31) as usize
    }
    /// The base of an address, or of `addi`: as such, r0 means the number 0.
    fn base(self) -> Option<usize> {
        Some(self.ra()).filter(|&ra| ra != 0)
    }
    fn immediate(self) -> i64 {
        i64::from(self.0 as i16)
    }
    fn xo(self) -> u32 {
        self.0 >> 1 & 0x3ff
    }
    fn d_form(self) -> Address {
        Address {
            base: self.base(),
            add: Operand::Number(self.immediate()),
        }
    }
    fn ds_form(self) -> Address {
        Address {
            base: self.base(),
            add: Operand::Number(self.immediate() & !3),
        }
    }
    fn x_form(self) -> Address {
        Address {
            base: self.base(),
            add: Operand::Register(self.rb()),
        }
    }
}

/// What a word is.
pub fn decode(word: u32) -> Insn {
    let w = Word(word);
    let (rt, ra, rb) = (bit(w.rt()), bit(w.ra()), bit(w.rb()));
    match w.opcode() {
        2 | 3 => trap(w, ra),
        // `maddhd`, `maddhdu`, `maddld` (3.3.9.1): their third factor is in RC.
        4 => match word & 63 {
            48 | 49 | 51 => Insn::plain(ra | rb | bit((word >> 6 & 31) as usize), rt),
            _ => Insn::UNKNOWN,
        },
        // `mulli`, `subfic`, `addic`, `addic.`; `cmpli`, `cmpi`.
        7 | 8 | 12 | 13 => Insn::plain(ra, rt),
        10 | 11 => Insn::plain(ra, 0),
        14 => add_immediate(w, w.immediate()),
        15 => add_immediate(w, w.immediate() << 16),
        16 | 18 => branch(w),
        19 => condition_register(w),
        // `rlwimi` keeps bits of its target; `rlwinm`, `rlwnm`.
        20 => Insn::plain(rt | ra, ra),
        21 => Insn::plain(rt, ra),
        23 => Insn::plain(rt | rb, ra),
        24 => or_immediate(w, i64::from(word & 0xffff)),
        25 => or_immediate(w, i64::from(word & 0xffff) << 16),
        26..=29 => Insn::plain(rt, ra),
        30 => match word >> 1 & 15 {
            0..=5 => Insn::plain(rt, ra),
            6 | 7 => Insn::plain(rt | ra, ra),
            8 | 9 => Insn::plain(rt | rb, ra),
            _ => Insn::UNKNOWN,
        },
        31 => super::extended::decode(word),
        // Loads: the odd ones update. Those of floating-point registers last.
        32..=35 | 40..=43 => load(w, w.d_form(), true, Width::Other, w.opcode() & 1 != 0),
        48..=51 => load(w, w.d_form(), false, Width::Other, w.opcode() & 1 != 0),
        // Stores, likewise.
        36 | 37 => store(w, w.d_form(), 4, true),
        38 | 39 => store(w, w.d_form(), 1, true),
        44 | 45 => store(w, w.d_form(), 2, true),
        52 | 53 => store(w, w.d_form(), 4, false),
        54 | 55 => store(w, w.d_form(), 8, false),
        58 => match word & 3 {
            update @ (0 | 1) => load(w, w.ds_form(), true, Width::Doubleword, update == 1),
            2 => load(w, w.ds_form(), true, Width::SignedWord, false),
            _ => Insn::UNKNOWN,
        },
        // Floating-point arithmetic touches no general register.
        59 | 63 => Insn::plain(0, 0),
        62 => match word & 3 {
            update @ (0 | 1) => store_at(w, w.ds_form(), 8, true, update == 1),
            _ => Insn::UNKNOWN,
        },
        _ => Insn::UNKNOWN,
    }
}

/// `tw`, `twi`, `td`, `tdi` (3.3.11).
fn trap(w: Word, reads: Mask) -> Insn {
    if w.rt() == 31 {
        Insn::new(reads, 0, Action::Trap)
    } else {
        Insn::plain(reads, 0)
    }
}

/// The same for the X-forms, by their word.
pub fn trap_x(word: u32) -> Insn {
    let w = Word(word);
    trap(w, bit(w.ra()) | bit(w.rb()))
}

fn add_immediate(w: Word, value: i64) -> Insn {
    let (rt, base) = (w.rt(), w.base());
    let add = Operand::Number(value);
    Insn::new(base.map_or(0, bit), bit(rt), Action::Add { rt, base, add })
}

fn or_immediate(w: Word, value: i64) -> Insn {
    let (ra, rs) = (w.ra(), w.rt());
    Insn::new(bit(rs), bit(ra), Action::Or { ra, rs, value })
}

/// `b`, `bc` (2.4). Bit 0 of BO clear or bit 2: there is a condition.
fn branch(w: Word) -> Insn {
    let relative = if w.opcode() == 18 {
        i64::from(((w.0 & 0x03ff_fffc) << 6).cast_signed() >> 6)
    } else {
        w.immediate() & !3
    };
    let to = if w.0 & 2 == 0 {
        Target::Relative(relative)
    } else {
        Target::Absolute
    };
    let conditional = w.opcode() == 16 && !always(w);
    let link = w.0 & 1 != 0;
    Insn::new(
        0,
        0,
        Action::Branch {
            to,
            conditional,
            link,
        },
    )
}

/// Whether BO says: branch always.
fn always(w: Word) -> bool {
    w.rt() & 0b10100 == 0b10100
}

/// Opcode 19: branches to registers, the logic of condition bits, `isync`.
fn condition_register(w: Word) -> Insn {
    let to = match w.xo() {
        0 | 33 | 129 | 150 | 193 | 225 | 257 | 289 | 417 | 449 => return Insn::plain(0, 0),
        16 => Target::Lr,
        528 | 560 => Target::Register,
        _ => return Insn::UNKNOWN,
    };
    let (conditional, link) = (!always(w), w.0 & 1 != 0);
    Insn::new(
        0,
        0,
        Action::Branch {
            to,
            conditional,
            link,
        },
    )
}

/// A load, into a general register or another.
fn load(w: Word, at: Address, general: bool, width: Width, update: bool) -> Insn {
    let rt = general.then_some(w.rt());
    let base = match (update, at.base) {
        (false, _) => 0,
        (true, Some(base)) => bit(base),
        (true, None) => return Insn::UNKNOWN,
    };
    Insn::new(
        at.reads(),
        rt.map_or(0, bit) | base,
        Action::Load {
            rt,
            at,
            width,
            update,
        },
    )
}

/// A D-form store; the odd opcodes update.
fn store(w: Word, at: Address, size: i64, general: bool) -> Insn {
    store_at(w, at, size, general, w.opcode() & 1 != 0)
}

fn store_at(w: Word, at: Address, size: i64, general: bool, update: bool) -> Insn {
    let rs = general.then_some(w.rt());
    let writes = match (update, at.base) {
        (false, _) => 0,
        (true, Some(base)) => bit(base),
        (true, None) => return Insn::UNKNOWN,
    };
    Insn::new(
        at.reads() | rs.map_or(0, bit),
        writes,
        Action::Store {
            rs,
            at,
            size,
            update,
        },
    )
}

/// An X-form load, by its word.
pub fn load_x(word: u32, general: bool, width: Width, update: bool) -> Insn {
    let w = Word(word);
    load(w, w.x_form(), general, width, update)
}

/// An X-form store, by its word.
pub fn store_x(word: u32, size: i64, general: bool, update: bool) -> Insn {
    let w = Word(word);
    store_at(w, w.x_form(), size, general, update)
}

/// A load of a general register without update, wherever its address comes from.
pub fn load_of(rt: usize, at: Address, width: Width) -> Insn {
    let action = Action::Load {
        rt: Some(rt),
        at,
        width,
        update: false,
    };
    Insn::new(at.reads(), bit(rt), action)
}

/// A store of so many bytes of a general register, likewise.
pub fn store_of(rs: usize, at: Address, size: i64) -> Insn {
    let action = Action::Store {
        rs: Some(rs),
        at,
        size,
        update: false,
    };
    Insn::new(at.reads() | bit(rs), 0, action)
}

/// `dcbz` (Book II, 4.3.2), by its word.
pub fn zero_line(word: u32) -> Insn {
    let at = Word(word).x_form();
    Insn::new(at.reads(), 0, Action::ZeroLine { at })
}
