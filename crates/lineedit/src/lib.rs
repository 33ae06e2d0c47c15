//! A line editor for a terminal, a byte at a time.
//!
//! [`Editor`] takes what is typed and writes what the terminal is to show. It knows
//! the keys that a shell's user expects: arrows, Home and End, ^A ^E ^B ^F, ^H ^D ^K
//! ^U ^W ^Y, ^P ^N through the history, ^L, Tab for completion. Nothing is allocated;
//! there are no files, no clock and no terminal in here. [`Script`] takes lines that
//! are not typed.
//!
//! Only printable ASCII becomes part of a line. A line that is wider than the
//! terminal moves sideways under the cursor.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod complete;
mod editor;
mod history;
mod keys;
mod script;
#[cfg(test)]
mod tests;

pub use complete::Offer;
pub use editor::{Editor, Event, Prompt};
pub use script::{Piece, Script};

/// Longest line, in bytes.
pub const LINE_BYTES: usize = 240;

/// Lines that the history keeps.
pub const HISTORY: usize = 32;

/// How wide a terminal is taken to be, in characters, if its width is not given.
pub const COLUMNS: usize = 80;

/// The narrowest terminal that there is room in for a prompt and a line.
pub const LEAST_COLUMNS: usize = 20;

/// A line, as it is typed.
pub type Line = arrayvec::ArrayString<LINE_BYTES>;
