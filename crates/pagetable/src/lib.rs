//! Translation tables of POWER as numbers: what their entries say and where they go. Neither
//! half touches memory that it is not given, so all of it is tested on the host.
//!
//! - [`radix`]: a tree in memory, of POWER9 and later (ISA Book III, "Radix Tree Translation");
//! - [`hash`]: a table of groups, of all processors, that belongs to the hypervisor (ISA Book III,
//!   "Hashed Page Table Translation", PAPR 14.5.4.1).
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod hash;
pub mod radix;
#[cfg(test)]
mod tests;

use core::fmt;

/// Bytes of the smallest page, the one that rights are given by.
pub const PAGE: u64 = 4096;

/// What a page is for, which says what may be done with it. None of them may be both written
/// and executed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Rights {
    /// Executed, and read.
    Code,
    /// Read.
    Constants,
    /// Read and written.
    Data,
}

impl Rights {
    /// What it allows, in a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Code => "R-X",
            Self::Constants => "R--",
            Self::Data => "RW-",
        }
    }
}

/// What an entry of a table allows, as it was found there: it may allow what no [`Rights`] do.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Access {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

impl From<Rights> for Access {
    fn from(rights: Rights) -> Self {
        Self {
            read: true,
            write: rights == Rights::Data,
            execute: rights == Rights::Code,
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (is_allowed, letter) in [(self.read, "R"), (self.write, "W"), (self.execute, "X")] {
            f.write_str(if is_allowed { letter } else { "-" })?;
        }
        Ok(())
    }
}

/// A page that a table has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Page {
    /// Its effective address.
    pub address: u64,
    /// How many bytes it has.
    pub size: u64,
    /// The real address of its memory.
    pub memory: u64,
    /// What it allows.
    pub access: Access,
}
