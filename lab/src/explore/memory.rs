//! What an instruction loads from: D-form, DS-form and X-form (ISA Book I, 1.6), and those of
//! prefixed ones that PC-relative code is made of.

use layout::TrapFrame;
use machine::text;
use ppc64::{insn, opcode::*};

/// Where the next instruction loads from, if it does.
pub fn loaded(frame: &TrapFrame) -> Option<u64> {
    let word = text::read(frame.nip);
    let register = |number: u32| frame.gpr[(number & 31) as usize];
    let base = match word >> 16 & 31 {
        0 => 0,
        base => register(base),
    };
    let displacement = |mask: u16| i64::from((word as u16 & mask).cast_signed());
    match primary(word) {
        LWZ | LWZU | LBZ | LBZU | LHZ..=LHAU => Some(base.wrapping_add_signed(displacement(!0))),
        LD => Some(base.wrapping_add_signed(displacement(!3))),
        PREFIX => prefixed(frame, word),
        X if insn::atomic(word).is_some_and(|one| !one.stores) || is_indexed_load(word) => {
            Some(base.wrapping_add(register(word >> 11)))
        }
        _ => None,
    }
}

/// `ldx`, `lwzx`, `lbzx`, `lhzx`, `lwax`, `lhax` and their forms with update.
fn is_indexed_load(word: u32) -> bool {
    let update = 32;
    let all = [21, 23, 87, 279, 341, 343];
    all.iter()
        .any(|&code| [code, code + update].contains(&extended(word)))
}

fn prefixed(frame: &TrapFrame, word: u32) -> Option<u64> {
    const RELATIVE: u32 = 1 << 20;
    let suffix = text::read(frame.nip + 4);
    let loads = match word >> 24 & 3 {
        0 => matches!(primary(suffix), PLD | PLWA),
        2 => matches!(primary(suffix), LWZ | LBZ | LHZ | LHA),
        _ => false,
    };
    let (high, low) = (u64::from(word & 0x3_ffff), u64::from(suffix & 0xffff));
    let displacement = ((high << 16 | low) << 30).cast_signed() >> 30;
    let from = match suffix >> 16 & 31 {
        _ if word & RELATIVE != 0 => frame.nip,
        0 => 0,
        base => frame.gpr[base as usize],
    };
    loads.then(|| from.wrapping_add_signed(displacement))
}
