//! Stubs for targets that a branch does not reach.

use super::{Change, TextError, apply};
use crate::mm::code::{CodeBlock, OutOfCodeMemory};
use core::fmt;
use ppc64::insn::{self, BranchError};

/// How a branch gets to its target.
#[derive(Debug)]
pub enum Route {
    /// Straight there.
    Direct,
    /// Through a stub, which must live as long as the branch does.
    Through(FarStub),
}

/// Code that jumps anywhere. It changes CTR and nothing else: at a site, every
/// general register may hold something that the function or its caller needs.
#[derive(Debug)]
pub struct FarStub(CodeBlock);

/// Why there is no way to a target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RouteError {
    /// No memory for a stub.
    OutOfCodeMemory(OutOfCodeMemory),
    /// The stub could not be written.
    Text(TextError),
    /// Not even a stub is in reach, or an address is not a multiple of 4.
    Branch(BranchError),
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfCodeMemory(error) => error.fmt(f),
            Self::Text(error) => error.fmt(f),
            Self::Branch(error) => error.fmt(f),
        }
    }
}

/// Where the stub parks r12: in its own red zone, which at a function's
/// entry holds nothing of anybody's (ELFv2 2.2.2.4).
const PARK: i16 = -8;

impl FarStub {
    /// A stub that jumps to `target`.
    ///
    /// # Errors
    /// [`RouteError`], when there is no memory for it.
    pub fn new(target: u64) -> Result<Self, RouteError> {
        let part = |shift: u32| (target >> shift) as u16;
        let words = [
            insn::std(12, PARK, 1),
            insn::lis(12, part(48)),
            insn::ori(12, 12, part(32)),
            insn::sldi(12, 12, 32),
            insn::oris(12, 12, part(16)),
            insn::ori(12, 12, part(0)),
            insn::mtctr(12),
            insn::ld(12, PARK, 1),
            insn::bctr(),
        ];
        let block = CodeBlock::new(words.len()).map_err(RouteError::OutOfCodeMemory)?;
        let mut changes = [Change {
            address: 0,
            expected: insn::TRAP,
            new: 0,
        }; 9];
        for (index, (change, word)) in changes.iter_mut().zip(words).enumerate() {
            change.address = block.start() + 4 * index as u64;
            change.new = word;
        }
        // SAFETY: nothing runs in a fresh block before the caller branches there.
        unsafe { apply(&changes) }.map_err(RouteError::Text)?;
        Ok(Self(block))
    }

    /// Address of its first instruction.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.0.start()
    }
}

/// The branch at `from` that gets to `to`, straight or through a stub.
///
/// # Errors
/// [`RouteError`].
pub fn route(from: u64, to: u64, link: bool) -> Result<(u32, Route), RouteError> {
    match insn::branch(from, to, link) {
        Ok(word) => Ok((word, Route::Direct)),
        Err(BranchError::OutOfRange { .. }) => {
            let stub = FarStub::new(to)?;
            let word = insn::branch(from, stub.start(), link).map_err(RouteError::Branch)?;
            Ok((word, Route::Through(stub)))
        }
        Err(error) => Err(RouteError::Branch(error)),
    }
}
