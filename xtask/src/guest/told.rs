//! A guest with lines that the caller prints.

use super::{Finished, Guest};
use std::time::{Duration, Instant};

/// How long `tell` is not called at most.
const PAUSE: Duration = Duration::from_millis(100);

impl Guest {
    /// Like [`Guest::finish`], and calls `tell` with the console's complete lines as
    /// they come: with none, when there are none for a tenth of a second.
    #[must_use]
    pub fn finish_telling(mut self, mut tell: impl FnMut(&str)) -> Finished {
        let mut told = 0;
        loop {
            self.step(Instant::now() + PAUSE);
            let has_ended = self.end.is_some();
            // What comes last may lack its line break.
            let until = if has_ended {
                self.console.len()
            } else {
                self.line
            };
            let text = String::from_utf8_lossy(&self.console[told..until]);
            tell(&text.replace("\r\n", "\n"));
            told = until;
            if has_ended {
                return self.finish();
            }
        }
    }
}
