//! What is known before an instruction, whatever way led there.

use super::insn::{Address, Operand};
use klp::convention::FrameHeader;
use std::mem::offset_of;

/// Offsets into the caller's frame, from r1 on entry.
pub const BACK_CHAIN: i64 = offset_of!(FrameHeader, back_chain) as i64;
pub const RESERVED: i64 = offset_of!(FrameHeader, reserved) as i64;
pub const LR_SAVE: i64 = offset_of!(FrameHeader, lr_save) as i64;
pub const TOC_SAVE: i64 = offset_of!(FrameHeader, toc_save) as i64;
pub const HEADER_END: i64 = size_of::<FrameHeader>() as i64;

/// Registers with a part to play.
pub const R1: usize = 1;
pub const R2: usize = 2;

/// What a register holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value {
    /// Something that has nothing to do with the stack as far as one can see.
    Any,
    /// Something made of an address in the caller's frame.
    FromCaller,
    /// An address: r1 on entry plus this.
    Stack(i64),
    /// A number.
    Number(i64),
    /// LR on entry.
    EntryLr,
    /// LR on entry, loaded from where it was saved.
    SavedLr,
    /// LR on entry, by the one or the other.
    WayBack,
    /// The word at 12 of the caller's frame.
    Reserved,
}

impl Value {
    /// Whether it is LR on entry.
    pub fn is_way_back(self) -> bool {
        matches!(self, Self::EntryLr | Self::SavedLr | Self::WayBack)
    }

    /// Whether it may lead to the caller's frame.
    pub fn is_callers(self) -> bool {
        matches!(self, Self::FromCaller | Self::Stack(BACK_CHAIN..))
    }

    fn join(self, other: Value) -> Value {
        if self == other {
            self
        } else if self.is_way_back() && other.is_way_back() {
            Value::WayBack
        } else {
            Value::mixed(self, other)
        }
    }

    /// What is made of two values in an unknown way.
    pub fn mixed(a: Value, b: Value) -> Value {
        if a.is_callers() || b.is_callers() {
            Value::FromCaller
        } else {
            Value::Any
        }
    }

    pub fn plus(self, other: Value) -> Value {
        match (self, other) {
            (Self::Stack(a), Self::Number(b)) | (Self::Number(b), Self::Stack(a)) => {
                Self::Stack(a.wrapping_add(b))
            }
            (Self::Number(a), Self::Number(b)) => Self::Number(a.wrapping_add(b)),
            (a, b) => Self::mixed(a, b),
        }
    }
}

/// Which of several things are true, on one way or another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ways(u8);

impl Ways {
    /// The first thing: not done yet.
    pub const NOT: Ways = Ways(1);
    /// In the middle of it.
    pub const HALF: Ways = Ways(2);
    /// Done.
    pub const DONE: Ways = Ways(4);
    /// In the middle of the restore with the frame closed.
    pub const HALF_CLOSED: Ways = Ways(8);
    /// Restored with the frame closed.
    pub const CLOSED: Ways = Ways(16);

    /// Whether nothing else is true on any way.
    pub fn only(self, what: Ways) -> bool {
        self == what
    }

    /// Whether the restore is done on every way, in either form.
    pub fn is_restored(self) -> bool {
        self.0 & !(Self::DONE.0 | Self::CLOSED.0) == 0
    }
}

/// The state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct State {
    pub registers: [Value; 32],
    pub lr: Value,
    /// Size of the open frame; the back chain is at its lowest address.
    pub frame: Option<i64>,
    /// Whether a frame was opened.
    pub opened: Ways,
    /// Whether LR was saved in the caller's frame.
    pub lr_saved: Ways,
    /// How far the restore has come.
    pub restored: Ways,
}

impl State {
    /// At the local entry.
    pub fn entry() -> State {
        let mut registers = [Value::Any; 32];
        registers[R1] = Value::Stack(0);
        State {
            registers,
            lr: Value::EntryLr,
            frame: None,
            opened: Ways::NOT,
            lr_saved: Ways::NOT,
            restored: Ways::NOT,
        }
    }

    /// What is known if either is true.
    pub fn join(&self, other: &State) -> State {
        let or = |a: Ways, b: Ways| Ways(a.0 | b.0);
        State {
            registers: std::array::from_fn(|r| self.registers[r].join(other.registers[r])),
            lr: self.lr.join(other.lr),
            // With two sizes r1 differs too, and that is seen.
            frame: self.frame.filter(|_| self.frame == other.frame),
            opened: or(self.opened, other.opened),
            lr_saved: or(self.lr_saved, other.lr_saved),
            restored: or(self.restored, other.restored),
        }
    }

    /// Whether r1 is at a frame of the function's own.
    pub fn in_frame(&self) -> bool {
        self.frame
            .is_some_and(|size| self.registers[R1] == Value::Stack(-size))
    }

    /// Whether r1 is the caller's and LR the way back, as at a return.
    pub fn is_closed(&self) -> bool {
        self.registers[R1] == Value::Stack(0) && self.lr.is_way_back()
    }

    /// What an address is. Number 0 takes the place of a base that is none.
    pub fn address(&self, at: Address) -> Value {
        let base = at
            .base
            .map_or(Value::Number(0), |base| self.registers[base]);
        base.plus(self.operand(at.add))
    }

    /// What an operand is.
    pub fn operand(&self, operand: Operand) -> Value {
        match operand {
            Operand::Number(number) => Value::Number(number),
            Operand::Register(register) => self.registers[register],
            // No address in code has to do with the stack.
            Operand::FromHere(_) => Value::Any,
        }
    }
}
