//! The checked reader of a placed module's memory: its bytes came from outside, so each
//! address in them is checked before it is followed.

use super::ModuleError;
use alloc::string::String;
use core::{ops, slice};
use klp::{Text, info::Plain};
use memmap::Range;

/// The memory of a module that has been placed.
#[derive(Debug)]
pub struct Memory {
    all: Range,
    /// What is executed.
    code: ops::Range<u64>,
}

impl Memory {
    /// The memory of a module that lies at `all`, with its code at `code`.
    ///
    /// # Safety
    /// As long as this is used, `all` can be read, and no code writes to it.
    #[must_use]
    pub const unsafe fn new(all: Range, code: ops::Range<u64>) -> Self {
        Self { all, code }
    }

    /// Whether so many bytes are in it.
    #[must_use]
    pub fn holds(&self, start: u64, length: u64) -> bool {
        let end = start.checked_add(length);
        end.is_some_and(|end| self.all.start <= start && end <= self.all.end)
    }

    /// Whether an address can be a function's.
    #[must_use]
    pub fn is_code(&self, address: u64) -> bool {
        address.is_multiple_of(4) && self.code.contains(&address)
    }

    /// The value at an address, aligned or not; none if it is not in the memory.
    #[must_use]
    pub fn value<T: Plain>(&self, address: u64) -> Option<T> {
        let fits = self.holds(address, size_of::<T>() as u64);
        // SAFETY: inside the module's memory, and read without asking for alignment;
        // whatever is there is a `T`.
        fits.then(|| unsafe { (address as *const T).read_unaligned() })
    }

    /// The entries of a table, of which there must be no more than `most`.
    ///
    /// # Errors
    /// [`ModuleError::TooMany`], and [`ModuleError::BadTable`] if not all of it is in the
    /// memory: both say that it is one of `what`.
    pub fn table<T: Plain>(
        &self,
        what: &'static str,
        (first, found): (*const T, u64),
        most: u64,
    ) -> Result<impl ExactSizeIterator<Item = T>, ModuleError<'static>> {
        if found > most {
            return Err(ModuleError::TooMany { what, found, most });
        }
        let address = first.addr() as u64;
        if found > 0 && !self.holds(address, found * size_of::<T>() as u64) {
            return Err(ModuleError::BadTable { what, address });
        }
        // SAFETY: the whole table is inside the module's memory, which the iterator borrows,
        // and is read without asking for alignment; whatever is there is a `T`.
        Ok((0..found as usize).map(move |index| unsafe { first.add(index).read_unaligned() }))
    }

    /// A copy of a text.
    ///
    /// # Errors
    /// [`ModuleError::BadText`], and [`ModuleError::OutOfMemory`].
    pub fn text(&self, text: Text) -> Result<String, ModuleError<'static>> {
        let (start, length) = text.parts();
        let bad = ModuleError::BadText {
            address: start,
            length,
        };
        if !self.holds(start, length) {
            return Err(bad);
        }
        // SAFETY: inside the module's memory, which no code writes to now.
        let bytes = unsafe { slice::from_raw_parts(start as *const u8, length as usize) };
        let text = core::str::from_utf8(bytes).map_err(|_| bad)?;
        let mut copy = String::new();
        copy.try_reserve_exact(text.len())?;
        copy.push_str(text);
        Ok(copy)
    }
}
