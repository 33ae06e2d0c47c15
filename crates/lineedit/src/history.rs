//! Lines that were typed before.

use crate::{HISTORY, Line};
use arrayvec::ArrayVec;

/// The lines, oldest first, and where the user is among them.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: ArrayVec<Line, HISTORY>,
    /// How many lines back; 0 is the line that is being typed.
    back: usize,
    /// The line that was being typed when the user went back.
    own: Line,
}

impl History {
    /// Keeps a line, unless it is empty or the last one again.
    pub fn push(&mut self, line: &Line) {
        self.back = 0;
        if line.trim().is_empty() || self.lines.last() == Some(line) {
            return;
        }
        if self.lines.is_full() {
            self.lines.remove(0);
        }
        self.lines.push(*line);
    }

    /// One line back from `current`, if there is one.
    pub fn older(&mut self, current: &Line) -> Option<Line> {
        let index = self.lines.len().checked_sub(self.back + 1)?;
        if self.back == 0 {
            self.own = *current;
        }
        self.back += 1;
        Some(self.lines[index])
    }

    /// One line forward; behind the last comes the one that was being typed.
    pub fn newer(&mut self) -> Option<Line> {
        self.back = self.back.checked_sub(1)?;
        Some(match self.back {
            0 => self.own,
            back => self.lines[self.lines.len() - back],
        })
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| line.as_str())
    }
}
