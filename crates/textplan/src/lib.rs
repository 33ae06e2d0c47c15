//! What must hold before a word of code is changed: the pure half of the one
//! writer of code.
//!
//! A plan is a slice of [`Change`]s. [`check`] looks at all of them before the
//! first is written, so that a plan is carried out as a whole or not at all;
//! [`carry_out`] carries it out and believes only what reads back. Neither knows how a
//! word is read or stored.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod error;
#[cfg(test)]
mod tests;

pub use error::{PlanError, Unverified};
pub use memmap::Range;

/// Bytes in an instruction.
const WORD: u64 = 4;

/// Behind every word that a range can hold.
const NOWHERE: Range = Range {
    start: u64::MAX,
    end: u64::MAX,
};

/// One word of code, as it is and as it shall be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    /// Where it is: a multiple of 4.
    pub address: u64,
    /// What is there now.
    pub expected: u32,
    /// What shall be there. It may be the same.
    pub new: u32,
}

/// Where code may be changed. Both lists are sorted by `start`; their ranges
/// may overlap, and one without a byte in it has no effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules<'a> {
    patchable: &'a [Range],
    forbidden: &'a [Range],
}

impl<'a> Rules<'a> {
    /// Rules: each word must be in one of the `patchable` ranges with all its bytes. No byte of it may be in
    /// one of the `forbidden` ones, such as the code that does the writing.
    ///
    /// # Errors
    /// [`PlanError::UnsortedRules`]: out of order they could hide what is forbidden.
    pub fn new(patchable: &'a [Range], forbidden: &'a [Range]) -> Result<Self, PlanError> {
        sorted(patchable)?;
        sorted(forbidden)?;
        Ok(Self {
            patchable,
            forbidden,
        })
    }
}

/// Checks a plan, in one pass over changes and rules together.
///
/// `read` gives the word at an address. It is asked once for each change, in
/// order, and only after the address has passed every other check.
///
/// # Errors
/// The first change that breaks a rule, and how.
#[inline]
pub fn check(
    changes: &[Change],
    rules: &Rules<'_>,
    mut read: impl FnMut(u64) -> u32,
) -> Result<(), PlanError> {
    let mut patchable = rules.patchable.iter();
    let mut forbidden = rules.forbidden.iter();
    // The range of either list that is of interest to the word in hand. These
    // two end before every word.
    let mut inside = Range { start: 0, end: 0 };
    let mut barred = inside;
    let mut lowest = 0;
    for &Change {
        address, expected, ..
    } in changes
    {
        if address < lowest {
            return Err(out_of_order(lowest - 1, address));
        }
        if !address.is_multiple_of(WORD) {
            return Err(PlanError::Misaligned { address });
        }
        // Neither can overflow for a multiple of 4.
        let last = address | (WORD - 1);
        lowest = address + 1;

        // A range that ends too early for this word does so for all that
        // follow. The next one is then the best chance: the others start later.
        while inside.end <= last {
            match patchable.next() {
                Some(&next) => inside = next,
                None => return Err(PlanError::OutsideText { address }),
            }
        }
        if address < inside.start {
            return Err(PlanError::OutsideText { address });
        }

        while barred.end <= address {
            let next = forbidden.find(|range| range.size() > 0);
            barred = *next.unwrap_or(&NOWHERE);
        }
        if barred.start <= last {
            return Err(PlanError::Forbidden {
                address,
                range: barred,
            });
        }

        let found = read(address);
        if found != expected {
            return Err(PlanError::Mismatch {
                address,
                found,
                expected,
            });
        }
    }
    Ok(())
}

/// Carries out a plan that has passed [`check`], word by word, in its order.
///
/// `store` writes a word at an address, and yields the word that is there afterwards.
///
/// # Errors
/// The first word that does not read back as written. Those before it are in place, and
/// none behind it was touched.
#[inline]
pub fn carry_out(
    changes: &[Change],
    mut store: impl FnMut(u64, u32) -> u32,
) -> Result<(), Unverified> {
    for &Change { address, new, .. } in changes {
        Unverified::unless_kept(address, new, store(address, new))?;
    }
    Ok(())
}

fn sorted(ranges: &[Range]) -> Result<(), PlanError> {
    match ranges.array_windows().find(|[a, b]| a.start > b.start) {
        Some(&[before, range]) => Err(PlanError::UnsortedRules { before, range }),
        None => Ok(()),
    }
}

#[cold]
fn out_of_order(before: u64, address: u64) -> PlanError {
    if before == address {
        PlanError::Overlap { address }
    } else {
        PlanError::Unsorted { before, address }
    }
}
