//! Talking with a guest: what is typed on its console, and what it answers.

use super::{End, Guest, POLL, Step};
use anyhow::{Context, Result, anyhow};
use memchr::memmem;
use std::io::Write;
use std::process::ChildStdin;
use std::time::Instant;

impl Guest {
    /// The way to the guest's console, for the caller to write to as it likes;
    /// [`Guest::send_line`] is no longer possible then.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.input.take()
    }

    /// Types a line on the guest's console.
    ///
    /// # Errors
    /// When QEMU no longer reads.
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        let input = self
            .input
            .as_mut()
            .context("the guest's input was taken away")?;
        // In one piece, or a guest that echoes each character could be seen
        // between the two.
        let line = format!("{line}\n");
        input
            .write_all(line.as_bytes())
            .and_then(|()| input.flush())
            .context("QEMU reads no input")?;
        // Until now the guest was not asked, and had nothing to say.
        self.signs.note();
        Ok(())
    }

    /// Waits until the guest has printed `text`, looking from behind the last
    /// match on. Returns what it printed up to the end of the match.
    ///
    /// # Errors
    /// When QEMU ends before, by itself or at a limit; with what came instead.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        // No match begins before it.
        let mut from = self.unread;
        let mut ended = false;
        loop {
            if let Some(place) = memmem::find(&self.console[from..], text.as_bytes()) {
                let end = from + place + text.len();
                let seen = String::from_utf8_lossy(&self.console[self.unread..end]).into_owned();
                self.unread = end;
                return Ok(seen);
            }
            if ended {
                let seen = String::from_utf8_lossy(&self.console[self.unread..]);
                let why = match &self.end {
                    Some(End::Killed(_, Some(outcome))) => outcome.to_string(),
                    _ => "QEMU ended".to_owned(),
                };
                return Err(anyhow!(
                    "waited for {text:?}, and {why}; seen instead: {seen:?}"
                ));
            }
            let begun = text.len().saturating_sub(1);
            from = from.max(self.console.len().saturating_sub(begun));
            // What comes with the end is looked at too.
            ended = self.step(Instant::now() + POLL) == Step::Ended;
        }
    }
}
