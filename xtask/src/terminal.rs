//! The terminal on standard input, in a mode in which each key is passed on at once.

use anyhow::{Context, Result};
use nix::sys::termios::{
    InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use std::io::stdin;

/// While this lives, keys come one by one, none is shown, and ^C is a key like any
/// other. What is printed is left as it is: a line break returns to the left edge.
#[derive(Debug)]
pub struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Changes the terminal's mode.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub fn enter() -> Result<RawTerminal> {
        let before = tcgetattr(stdin()).context("standard input is no terminal")?;
        let mut raw = before.clone();
        raw.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
        // Enter is `\r`, and ^S and ^Q are keys.
        raw.input_flags
            .remove(InputFlags::ICRNL | InputFlags::INLCR | InputFlags::IXON);
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(stdin(), SetArg::TCSADRAIN, &raw).context("the terminal's mode")?;
        Ok(RawTerminal { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A failure has no caller that could be told.
        let _ = tcsetattr(stdin(), SetArg::TCSADRAIN, &self.before);
    }
}
