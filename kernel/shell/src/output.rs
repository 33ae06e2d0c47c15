//! What commands write to.

use super::input;
use arrayvec::ArrayString;
use core::fmt::{self, Write};
use machine::console;

/// The console, a line at a time. Behind each line it looks for ^C, and then takes
/// nothing more: so a command that writes can be interrupted, and need not know.
#[derive(Debug)]
pub struct Out {
    line: ArrayString<128>,
}

impl Out {
    /// Shows what is written.
    pub fn console() -> Self {
        Self {
            line: ArrayString::new(),
        }
    }

    /// Shows what is still to be shown, and stands at a line's start again.
    pub fn end_line(&mut self) {
        let is_begun = !self.line.is_empty();
        self.show();
        if is_begun {
            self.line.push('\n');
            self.show();
        }
    }

    fn show(&mut self) {
        print!("{}", self.line);
        self.line.clear();
    }
}

impl Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            let mut rest = piece;
            while !rest.is_empty() {
                let fits = rest.floor_char_boundary(self.line.remaining_capacity());
                self.line.push_str(&rest[..fits]);
                rest = &rest[fits..];
                if fits == 0 || !rest.is_empty() {
                    self.show();
                }
            }
            if piece.ends_with('\n') {
                self.show();
                if input::interrupted() {
                    return Err(fmt::Error);
                }
            }
        }
        Ok(())
    }
}

/// The console as the editor needs it: every key is shown at once.
#[derive(Debug)]
pub struct Direct;

impl Direct {
    /// Begins a line below whatever others have printed.
    pub fn end_line(&mut self) {
        print!("\r\x1b[K");
    }
}

impl Write for Direct {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        console::print(format_args!("{text}"));
        Ok(())
    }
}
