//! An instruction's access, and its text, at a stop.

use super::stop::Stop;
pub use crate::instruments::access::Access;
use crate::instruments::access::{self, Form, Instruction};
use alloc::{format, string::String};
use disasm::Line;
use ppc64::opcode::{ADDI, PREFIX, primary};

impl Stop {
    fn instruction(&self) -> Instruction {
        Instruction {
            address: self.address,
            word: self.word,
            suffix: self.suffix,
        }
    }
}

/// The access of an instruction that is about to be executed.
pub fn access(stop: &Stop) -> Option<Access> {
    access::access(stop.instruction(), &stop.state.gpr)
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
    let form = Form::of(stop.instruction())?;
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
