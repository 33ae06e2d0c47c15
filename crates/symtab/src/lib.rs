//! The kernel's symbol table: which name stands at which address.
//!
//! A host tool takes the symbols out of the linked kernel, writes them with
//! `encode` (feature of the same name) and puts the bytes into a section that
//! the linker script has left free. The kernel reads them where they are, with
//! [`Table`]. Names are stored as the linker knows them, and demangled when
//! they are looked at.
//!
//! # Format
//! All numbers are little endian; nothing needs alignment.
//!
//! | bytes | header |
//! |---|---|
//! | 8 | `klp-syms` |
//! | 4 | version: 2 |
//! | 4 | number of symbols |
//! | 4 | bytes of names |
//! | 4 | number of index entries |
//!
//! Behind it come the symbols, in the order of [`Table`]'s iterator:
//!
//! | bytes | symbol |
//! |---|---|
//! | 8 | address |
//! | 8 | size |
//! | 4 | end of its name, counted from the first name; it starts where the one before ends |
//! | 1 | kind: 0 function, 1 object |
//! | 1 | 1 if global, or 0 |
//! | 1 | bytes from the global to the local entry |
//! | 1 | 0 |
//!
//! Then the index, by ascending hash and symbol: for each path and linker name,
//!
//! | bytes | index entry |
//! |---|---|
//! | 4 | hash of the name (FNV-1a) |
//! | 4 | position of the symbol |
//!
//! Then the names, one after the other, in UTF-8, and then nothing but zeros.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "encode"))]
extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(any(test, feature = "encode"))]
mod encode;
mod format;
mod lookup;
mod parse;
mod symbol;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

#[cfg(any(test, feature = "encode"))]
pub use encode::{AsSymbol, EncodeError, SymbolSpec, encode, encode_indexed};
pub use lookup::LookupError;
pub use parse::ParseError;
pub use symbol::{Kind, Symbol};

use format::{Entry, IndexEntry};

/// A symbol table that has been checked and can be read without surprises. The default one
/// is empty.
#[derive(Clone, Copy, Default)]
pub struct Table<'a> {
    entries: &'a [Entry],
    /// By hash. Empty if the table has none.
    index: &'a [IndexEntry],
    names: &'a str,
    /// The size of the largest symbol: no other reaches further.
    longest: u64,
}
