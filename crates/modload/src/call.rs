//! Where a branch goes, and what stands behind it.

use crate::howto::{Howto, Value};
use crate::place::Placing;
use crate::references::{Relocation, needs_stub};
use crate::stub::{RESTORE, WITHOUT_SAVE};
use crate::{LoadError, Place};
use ppc64::{
    insn,
    opcode::{B, BC, primary},
};

/// The address is absolute: AA.
const ABSOLUTE: u32 = 2;
/// The address behind the branch goes to LR: LK.
const LINK: u32 = 1;

impl<'a> Placing<'_, 'a> {
    /// The address that a branch at `at` in the image goes to. Turns the `nop` at
    /// `behind` into the restore of r2 if the branch is a call that needs it;
    /// `None` means that the section has no word behind the branch.
    pub(crate) fn branch(
        &self,
        image: &mut [u8],
        (at, behind): (usize, Option<usize>),
        place: Place<'a>,
        howto: Howto,
        relocation: Relocation,
    ) -> Result<u64, LoadError<'a>> {
        let symbols = &self.module.symbols;
        let symbol = relocation.symbol as usize;
        let found = word(image, at).map_or(0, |word| u32::from_le_bytes(*word));
        let opcode = match howto.value {
            Value::Conditional => BC,
            _ => B,
        };
        if primary(found) != opcode || found & ABSOLUTE != 0 {
            return Err(LoadError::NotABranch {
                relocation: relocation.name(),
                place,
                found,
            });
        }

        let has_toc = howto.value != Value::CallWithoutToc;
        if has_toc && symbols.loses_toc(symbol) {
            let name = symbols.name(symbol);
            if opcode != B || found & LINK == 0 {
                return Err(LoadError::NotACall { place, found, name });
            }
            let found = match behind.and_then(|at| word(image, at)) {
                Some(word) if *word == insn::NOP.to_le_bytes() => {
                    *word = RESTORE.to_le_bytes();
                    None
                }
                Some(word) => Some(Some(u32::from_le_bytes(*word))),
                None => Some(None),
            };
            if let Some(found) = found {
                return Err(LoadError::NoNop { place, found, name });
            }
        }
        Ok(match self.module.references.stub_of(symbol) {
            Some(number) if needs_stub(howto, symbols, symbol) => {
                self.stub(number) + if has_toc { 0 } else { WITHOUT_SAVE }
            }
            _ => self
                .value(relocation.symbol)
                .wrapping_add_signed(relocation.addend)
                .wrapping_add(symbols.local_entry(symbol).into()),
        })
    }
}

impl<'a> Placing<'_, 'a> {
    /// Makes a call of [`PROFILE`](crate::PROFILE) at `at` in the image a `nop`.
    pub(crate) fn profiled(
        &self,
        image: &mut [u8],
        at: usize,
        place: Place<'a>,
        relocation: Relocation,
    ) -> Result<(), LoadError<'a>> {
        let mut none = [0; 4];
        let word = word(image, at).unwrap_or(&mut none);
        let found = u32::from_le_bytes(*word);
        if primary(found) != B || found & ABSOLUTE != 0 || found & LINK == 0 {
            return Err(LoadError::NotABranch {
                relocation: relocation.name(),
                place,
                found,
            });
        }
        *word = insn::NOP.to_le_bytes();
        Ok(())
    }
}

/// The word at an offset in the image.
fn word(image: &mut [u8], at: usize) -> Option<&mut [u8; 4]> {
    image.get_mut(at..)?.first_chunk_mut()
}
