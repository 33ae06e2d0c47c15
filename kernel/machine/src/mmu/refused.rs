//! What was wrong with an access to memory that was refused, in words.

use super::PAGE;
use crate::{
    mm, stack,
    symbols::{self, Path},
    text,
};
use core::fmt;
use layout::TrapFrame;
use ppc64::vector;

/// How memory was used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Use {
    Load,
    Store,
    /// One of these two.
    LoadOrStore,
    Call,
}

/// An access that was refused, as a data or an instruction storage or segment interrupt tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    how: Use,
    address: u64,
    /// There is a page, and it does not allow this.
    is_protected: bool,
}

impl Refused {
    /// The access that an interrupt is about, if it is about one.
    #[must_use]
    pub fn of(frame: &TrapFrame) -> Option<Self> {
        let data = |is_protected| {
            let is_store = frame.dsisr & vector::STORE != 0;
            Self {
                how: if is_store { Use::Store } else { Use::Load },
                address: frame.dar,
                is_protected,
            }
        };
        let fetch = |is_protected| Self {
            how: Use::Call,
            address: frame.nip,
            is_protected,
        };
        Some(match frame.vector {
            vector::DATA_STORAGE => data(frame.dsisr & vector::PROTECTED != 0),
            // DSISR says nothing of it, so neither does this of what was tried.
            vector::DATA_SEGMENT => Self {
                how: Use::LoadOrStore,
                ..data(false)
            },
            vector::INSTRUCTION_STORAGE => {
                fetch(frame.msr & (vector::PROTECTED | vector::NOT_CODE) != 0)
            }
            vector::INSTRUCTION_SEGMENT => fetch(false),
            _ => return None,
        })
    }

    /// Whether it is of the guard of the running stack, or of its livepatch stack.
    #[must_use]
    pub fn is_of_guard(&self) -> bool {
        let is_in_guard = self.address.wrapping_sub(stack::guard()) < stack::GUARD_BYTES;
        is_in_guard && !self.is_protected && self.how != Use::Call
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, .. } = *self;
        let (how, to) = match self.how {
            Use::Load => ("load", "from"),
            Use::LoadOrStore => ("access", "to"),
            Use::Store => ("store", "to"),
            Use::Call => ("call", "of"),
        };
        if self.is_of_guard() {
            return write!(f, "{how} {to} {address:#x}, in the guard of the stack");
        }
        if address < PAGE {
            return write!(f, "{how} {to} address {address:#x}, by a null pointer");
        }
        let area = mm::area_at(address).map(|area| area.name);
        match (self.is_protected, area) {
            (true, _) if text::is_code(address) => {
                write!(f, "{how} into read-only code of {}", Path(address))
            }
            (true, Some(area)) => {
                write!(f, "{how} {to} {address:#x}, {area}")?;
                if symbols::is_inside(address) {
                    write!(f, " ({})", Path(address))?;
                }
                Ok(())
            }
            (false, Some(area)) => write!(f, "{how} {to} {address:#x}, where no page is ({area})"),
            (true, None) => write!(f, "{how} {to} {address:#x}, whose page does not allow it"),
            (false, None) => write!(f, "{how} {to} {address:#x}, where no page is"),
        }
    }
}
