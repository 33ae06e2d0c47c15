//! What an instruction loads or stores, and where: D-form, DS-form and their prefixed
//! forms (ISA Book I, 1.6). Others are not looked into.

use super::stop::Stop;
use alloc::{format, string::String};
use disasm::Line;
use ppc64::opcode::*;

/// A load or a store.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// It writes memory.
    pub stores: bool,
    /// The register that is loaded or stored.
    pub register: usize,
    /// Where.
    pub address: u64,
    /// Its width in bytes.
    pub bytes: u32,
    /// The base register is r0, which means the number 0.
    pub no_base: bool,
}

/// A prefixed instruction's suffix as the instruction that it extends, in D-form or
/// DS-form, without displacement (ISA Book I, 1.6.3). Only those that PC-relative code is
/// made of.
fn unprefixed(stop: &Stop) -> Option<u32> {
    let registers = stop.suffix & 0x3ff << 16;
    Some(match (stop.word >> 24 & 3, primary(stop.suffix)) {
        (2, opcode @ (ADDI | LWZ | LBZ | STW | STB | LHZ | LHA | STH)) => opcode << 26 | registers,
        (0, PLD) => LD << 26 | registers,
        (0, PLWA) => LD << 26 | registers | 2,
        (0, PSTD) => STD << 26 | registers,
        _ => return None,
    })
}

/// An instruction of D-form or DS-form that is about to be executed.
struct Form {
    word: u32,
    displacement: i64,
    /// The displacement is from the instruction, and not from a register.
    is_relative: bool,
}

impl Form {
    fn of(stop: &Stop) -> Option<Self> {
        if primary(stop.word) != PREFIX {
            let mask = if primary(stop.word) >= LD { !3 } else { !0 };
            return Some(Self {
                word: stop.word,
                displacement: i64::from((stop.word as u16 & mask).cast_signed()),
                is_relative: false,
            });
        }
        let high = u64::from(stop.word & 0x3_ffff);
        let low = u64::from(stop.suffix & 0xffff);
        Some(Self {
            word: unprefixed(stop)?,
            displacement: ((high << 16 | low) << 30).cast_signed() >> 30,
            is_relative: stop.word & 1 << 20 != 0,
        })
    }

    fn register(&self) -> usize {
        (self.word >> 21 & 31) as usize
    }

    fn base(&self) -> usize {
        (self.word >> 16 & 31) as usize
    }
}

/// The access of an instruction that is about to be executed.
pub fn access(stop: &Stop) -> Option<Access> {
    let form = Form::of(stop)?;
    let (bytes, stores) = match (primary(form.word), form.word & 3) {
        (LD, 0 | 1) => (8, false),
        (LD, 2) => (4, false),
        (STD, 0 | 1) => (8, true),
        (LWZ | LWZU, _) => (4, false),
        (LBZ | LBZU, _) => (1, false),
        (LHZ..=LHAU, _) => (2, false),
        (STW | STWU, _) => (4, true),
        (STB | STBU, _) => (1, true),
        (STH | STHU, _) => (2, true),
        _ => return None,
    };
    let from = match form.base() {
        _ if form.is_relative => stop.address,
        0 => 0,
        base => stop.state.gpr[base],
    };
    Some(Access {
        stores,
        register: form.register(),
        address: from.wrapping_add_signed(form.displacement),
        bytes,
        no_base: !form.is_relative && form.base() == 0,
    })
}

/// The instruction in words; `name` writes where a branch leads.
pub fn text(
    stop: &Stop,
    name: impl Fn(u64, &mut core::fmt::Formatter<'_>) -> core::fmt::Result,
) -> String {
    prefixed_text(stop)
        .unwrap_or_else(|| format!("{}", Line::new(stop.address, stop.word).named(name)))
}

fn prefixed_text(stop: &Stop) -> Option<String> {
    if primary(stop.word) != PREFIX {
        return None;
    }
    let form = Form::of(stop)?;
    let register = form.register();
    let base = match form.is_relative {
        true => "pc".into(),
        false => format!("r{}", form.base()),
    };
    let sign = if form.displacement < 0 { "-" } else { "" };
    let displacement = form.displacement.unsigned_abs();
    let plain = format!("{}", Line::new(stop.address, form.word));
    Some(match (primary(form.word), form.is_relative) {
        (ADDI, false) => format!("paddi r{register}, {base}, {sign}{displacement:#x}"),
        (ADDI, true) => format!("pla r{register}, {sign}{displacement:#x}(pc)"),
        _ => {
            let mnemonic = plain.split(' ').next()?;
            format!("p{mnemonic} r{register}, {sign}{displacement:#x}({base})")
        }
    })
}
