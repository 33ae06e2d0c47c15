//! Lines that are not typed: of a file, or of a program that is at the other end.

use crate::{LINE_BYTES, Line};

/// What a byte has completed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "nothing is allocated, so there is nothing to box it in"
)]
pub enum Piece {
    /// A line.
    Line(Line),
    /// A line that has no room in a [`Line`]; all of it was read over.
    TooLong,
    /// The end of the input, ^D.
    End,
}

/// Collects bytes into lines. Blanks of all kinds are blanks; what is not printable
/// ASCII becomes a question mark, so that it can't mean anything.
#[derive(Clone, Debug, Default)]
pub struct Script {
    line: Line,
    length: usize,
    ending: bool,
}

impl Script {
    /// At the start of a line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a byte. A last line without a line break comes before the end of the
    /// input; then the end comes with the next byte, whatever it is.
    pub fn feed(&mut self, byte: u8) -> Option<Piece> {
        if self.ending {
            return Some(Piece::End);
        }
        match byte {
            b'\r' => None,
            b'\n' => Some(self.take()),
            0x04 if self.length == 0 => Some(Piece::End),
            0x04 => {
                self.ending = true;
                Some(self.take())
            }
            byte => {
                let shown = match byte {
                    b'\t' => ' ',
                    b' '..=b'~' => char::from(byte),
                    _ => '?',
                };
                self.length += 1;
                let _ = self.line.try_push(shown);
                None
            }
        }
    }

    /// Whether ^D has come behind a line without a line break.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ending
    }

    fn take(&mut self) -> Piece {
        let line = core::mem::take(&mut self.line);
        match core::mem::take(&mut self.length) {
            ..=LINE_BYTES => Piece::Line(line),
            _ => Piece::TooLong,
        }
    }
}
