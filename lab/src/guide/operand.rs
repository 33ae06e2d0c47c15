//! What an instruction loads or stores, and where: D-form, DS-form and their prefixed
//! forms (ISA Book I, 1.6). Others are not looked into.

use super::stop::Stop;
use alloc::{format, string::String};
use disasm::Line;

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

/// Opcodes of D-form loads and stores: width, and whether it stores.
const fn d_form(opcode: u32) -> Option<(u32, bool)> {
    Some(match opcode {
        32 | 33 => (4, false),
        34 | 35 => (1, false),
        40..=43 => (2, false),
        36 | 37 => (4, true),
        38 | 39 => (1, true),
        44 | 45 => (2, true),
        _ => return None,
    })
}

/// The access of an instruction that is about to be executed.
pub fn access(stop: &Stop) -> Option<Access> {
    let word = stop.word;
    if word >> 26 == 1 {
        return prefixed(stop);
    }
    let opcode = word >> 26;
    let (bytes, stores, displacement) = match (opcode, word & 3) {
        (58, 0 | 1) => (8, false, word as u16 & 0xfffc),
        (58, 2) => (4, false, word as u16 & 0xfffc),
        (62, 0 | 1) => (8, true, word as u16 & 0xfffc),
        _ => {
            let (bytes, stores) = d_form(opcode)?;
            (bytes, stores, word as u16)
        }
    };
    let base = (word >> 16 & 31) as usize;
    let from = if base == 0 { 0 } else { stop.state.gpr[base] };
    Some(Access {
        stores,
        register: (word >> 21 & 31) as usize,
        address: from.wrapping_add_signed(i64::from(displacement.cast_signed())),
        bytes,
        no_base: base == 0,
    })
}

/// The 34 bits of displacement, and what they are relative to.
fn target(stop: &Stop) -> (i64, bool, usize) {
    let high = u64::from(stop.word & 0x3_ffff);
    let low = u64::from(stop.suffix & 0xffff);
    let displacement = ((high << 16 | low) << 30).cast_signed() >> 30;
    let is_relative = stop.word & 1 << 20 != 0;
    (displacement, is_relative, (stop.suffix >> 16 & 31) as usize)
}

fn prefixed(stop: &Stop) -> Option<Access> {
    let (displacement, is_relative, base) = target(stop);
    let (bytes, stores) = match (stop.word >> 24 & 3, stop.suffix >> 26) {
        (2, opcode @ (32 | 34 | 40 | 42 | 36 | 38 | 44)) => d_form(opcode)?,
        (0, 57) => (8, false),
        (0, 41) => (4, false),
        (0, 61) => (8, true),
        _ => return None,
    };
    let from = match (is_relative, base) {
        (true, _) => stop.address,
        (false, 0) => 0,
        (false, base) => stop.state.gpr[base],
    };
    Some(Access {
        stores,
        register: (stop.suffix >> 21 & 31) as usize,
        address: from.wrapping_add_signed(displacement),
        bytes,
        no_base: !is_relative && base == 0,
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

/// The few prefixed instructions that PC-relative code is made of.
fn prefixed_text(stop: &Stop) -> Option<String> {
    if stop.word >> 26 != 1 {
        return None;
    }
    let (displacement, is_relative, base) = target(stop);
    let mnemonic = match (stop.word >> 24 & 3, stop.suffix >> 26) {
        (2, 14) if is_relative => "pla",
        (2, 14) => "paddi",
        (2, 32) => "plwz",
        (2, 34) => "plbz",
        (2, 36) => "pstw",
        (2, 38) => "pstb",
        (2, 40) => "plhz",
        (2, 42) => "plha",
        (2, 44) => "psth",
        (0, 41) => "plwa",
        (0, 57) => "pld",
        (0, 61) => "pstd",
        _ => return None,
    };
    let register = stop.suffix >> 21 & 31;
    let base = if is_relative {
        "pc".into()
    } else {
        format!("r{base}")
    };
    let sign = if displacement < 0 { "-" } else { "" };
    let displacement = displacement.unsigned_abs();
    Some(if mnemonic == "paddi" {
        format!("paddi r{register}, {base}, {sign}{displacement:#x}")
    } else {
        format!("{mnemonic} r{register}, {sign}{displacement:#x}({base})")
    })
}
