//! Instructions in words: a thin layer over the crate `powerpc`.
//!
//! It adds what is needed to read code of today's 64-bit processors: branches
//! with the hints that these know (see `branch`), a few instructions that the
//! crate lacks (see `extra`), and targets of branches by name. A word that
//! none of them knows is printed as data, `.long 0x…`: prefixed, vector and
//! floating-point instructions beyond the crate's, and real data.
//!
//! Nothing is allocated.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod branch;
mod extra;
#[cfg(test)]
mod tests;

use core::fmt::{self, Display, Formatter};
use extra::Operand;
use powerpc::{Extension, Extensions, Ins, ParsedIns};

/// One word of code. Its [`Display`] is the instruction without address, such
/// as `addi r1, r1, 0x20`; a branch shows the address that it leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Line {
    /// Where the word is.
    pub address: u64,
    /// What it is.
    pub word: u32,
}

/// A [`Line`] that shows names for the targets of branches.
#[derive(Clone, Copy, Debug)]
pub struct Named<F> {
    line: Line,
    name: F,
}

impl Line {
    /// The word at an address.
    #[must_use]
    pub const fn new(address: u64, word: u32) -> Self {
        Self { address, word }
    }

    /// The same with names: where a branch leads, `name` is called to print
    /// that address, such as `kernel::foo+0x8`.
    #[must_use]
    pub const fn named<F>(self, name: F) -> Named<F>
    where
        F: Fn(u64, &mut Formatter<'_>) -> fmt::Result,
    {
        Named { line: self, name }
    }

    /// Where the word branches to, if it is a branch that says so itself.
    #[must_use]
    pub const fn target(self) -> Option<u64> {
        branch::target(self.address, self.word)
    }

    /// Whether the word is shown as an instruction and not as data.
    #[must_use]
    pub fn is_known(self) -> bool {
        branch::decode(self.word).is_some()
            || extra::decode(self.word).is_some()
            || parse(self.word).is_some()
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.named(|target, f| write!(f, "{target:#x}")).fmt(f)
    }
}

impl<F> Display for Named<F>
where
    F: Fn(u64, &mut Formatter<'_>) -> fmt::Result,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Line { word, .. } = self.line;
        if let Some(branch) = branch::decode(word) {
            branch.fmt(f)?;
            return match self.line.target() {
                Some(target) => {
                    f.write_str(branch.separator())?;
                    (self.name)(target, f)
                }
                None => Ok(()),
            };
        }
        if let Some((mnemonic, operands)) = extra::decode(word) {
            f.write_str(mnemonic)?;
            let operands = operands.iter().filter(|o| **o != Operand::None);
            for (index, operand) in operands.enumerate() {
                let separator = if index == 0 { " " } else { ", " };
                write!(f, "{separator}{operand}")?;
            }
            return Ok(());
        }
        match parse(word) {
            // Branches, the only ones that would need more, are done.
            Some(instruction) => instruction.fmt(f),
            None => write!(f, ".long {word:#010x}"),
        }
    }
}

/// What the crate makes of a word, if it knows it.
fn parse(word: u32) -> Option<ParsedIns> {
    let instruction = Ins::new(word, Extensions::from_extension(Extension::Ppc64)).simplified();
    // Its word for it; there is no other way to ask once modifiers are looked at.
    (instruction.mnemonic != "<illegal>").then_some(instruction)
}
