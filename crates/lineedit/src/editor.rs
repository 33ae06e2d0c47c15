//! The line being typed, and how the terminal shows it.

use crate::{
    COLUMNS, LEAST_COLUMNS, Line, Offer, complete,
    complete::Width,
    history::History,
    keys::{Key, State},
};
use core::fmt::Write;

/// What a byte has led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The line goes on.
    Typing,
    /// Enter: [`Editor::take`] has the line.
    Line,
    /// ^C: the line was given up.
    Interrupted,
    /// ^D on an empty line: there is no more input.
    End,
}

/// What stands before the line, with what colours it. Only `text` takes up room.
#[derive(Clone, Copy, Debug)]
pub struct Prompt {
    /// Shown in full.
    pub text: &'static str,
    /// Before and behind it: control sequences, or nothing.
    pub style: (&'static str, &'static str),
}

/// The editor. What it writes goes to whatever stands for the terminal; errors of
/// that are none of its business.
#[derive(Clone, Debug)]
pub struct Editor {
    prompt: Prompt,
    /// The terminal's width.
    columns: usize,
    line: Line,
    /// Where the next character goes, in bytes.
    cursor: usize,
    /// What of the line is left of the terminal's edge.
    scrolled: usize,
    keys: State,
    history: History,
    killed: Line,
}

impl Editor {
    /// An empty line.
    #[must_use]
    pub fn new(prompt: Prompt) -> Self {
        Self {
            prompt,
            columns: COLUMNS,
            line: Line::new(),
            cursor: 0,
            scrolled: 0,
            keys: State::Ground,
            history: History::default(),
            killed: Line::new(),
        }
    }

    /// The same on a terminal of so many columns, [`LEAST_COLUMNS`] at least.
    #[must_use]
    pub fn with_columns(mut self, columns: usize) -> Self {
        self.columns = columns.max(LEAST_COLUMNS);
        self
    }

    /// The line so far.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Where the cursor is, in bytes from the line's start.
    #[must_use]
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// The lines of the history, oldest first.
    pub fn history(&self) -> impl Iterator<Item = &str> {
        self.history.lines()
    }

    /// Takes the line away, into the history, and begins another.
    pub fn take(&mut self) -> Line {
        let line = self.line;
        self.history.push(&line);
        self.set("");
        line
    }

    /// Shows prompt and line where the terminal's cursor is: at a line's start.
    pub fn show(&mut self, out: &mut dyn Write) {
        self.redraw(out);
    }

    /// Takes a byte that was typed. `complete` offers what the word before the cursor
    /// may become.
    pub fn feed(
        &mut self,
        byte: u8,
        out: &mut dyn Write,
        complete: &mut dyn FnMut(&mut Offer<'_>),
    ) -> Event {
        let Some(key) = self.keys.take(byte) else {
            return Event::Typing;
        };
        match key {
            Key::Insert(byte) => self.insert(byte, out),
            Key::Enter => {
                let _ = out.write_char('\n');
                return Event::Line;
            }
            Key::Interrupt => {
                let _ = out.write_str("^C\n");
                self.set("");
                return Event::Interrupted;
            }
            Key::DeleteOrEnd if self.line.is_empty() => {
                let _ = out.write_char('\n');
                return Event::End;
            }
            Key::Tab => self.complete(out, complete),
            Key::Clear => {
                let _ = out.write_str("\x1b[H\x1b[2J");
                self.redraw(out);
            }
            key => {
                if self.edit(key) {
                    self.redraw(out);
                }
            }
        }
        Event::Typing
    }

    /// Keys that change the line or move in it. Says whether there is a difference.
    fn edit(&mut self, key: Key) -> bool {
        let (cursor, end) = (self.cursor, self.line.len());
        match key {
            Key::Left => self.cursor = cursor.saturating_sub(1),
            Key::Right => self.cursor = (cursor + 1).min(end),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = end,
            Key::WordLeft => self.cursor = self.word_start(),
            Key::WordRight => self.cursor = self.word_end(),
            Key::Backspace if cursor > 0 => {
                self.line.remove(cursor - 1);
                self.cursor -= 1;
                return true;
            }
            Key::Delete | Key::DeleteOrEnd if cursor < end => {
                self.line.remove(cursor);
                return true;
            }
            Key::KillToEnd => return self.kill(cursor, end),
            Key::KillToStart => return self.kill(0, cursor),
            Key::KillWord => return self.kill(self.word_start(), cursor),
            Key::Yank => {
                let killed = self.killed;
                return self.insert_all(&killed);
            }
            Key::Up => {
                let older = self.history.older(&self.line);
                return self.replace(older);
            }
            Key::Down => {
                let newer = self.history.newer();
                return self.replace(newer);
            }
            _ => {}
        }
        self.cursor != cursor
    }

    fn set(&mut self, text: &str) {
        self.line.clear();
        // Both are at most a line long.
        let _ = self.line.try_push_str(text);
        self.cursor = self.line.len();
        self.scrolled = 0;
    }

    fn replace(&mut self, line: Option<Line>) -> bool {
        if let Some(line) = &line {
            self.set(line);
        }
        line.is_some()
    }

    /// Where the word before the cursor begins.
    fn word_start(&self) -> usize {
        let before = self.line[..self.cursor].trim_end_matches(' ');
        before.rfind(' ').map_or(0, |blank| blank + 1)
    }

    /// Where the word behind the cursor ends.
    fn word_end(&self) -> usize {
        let behind = &self.line[self.cursor..];
        let blanks = behind.len() - behind.trim_start_matches(' ').len();
        let word = behind[blanks..].find(' ');
        word.map_or(self.line.len(), |length| self.cursor + blanks + length)
    }

    fn kill(&mut self, from: usize, to: usize) -> bool {
        if from >= to {
            return false;
        }
        let behind: Line = copy(&self.line[to..]);
        self.killed = copy(&self.line[from..to]);
        self.line.truncate(from);
        let _ = self.line.try_push_str(&behind);
        self.cursor = from;
        true
    }

    /// Inserts as much of `text` as there is room for.
    fn insert_all(&mut self, text: &str) -> bool {
        let fits = text.len().min(self.line.remaining_capacity());
        let behind: Line = copy(&self.line[self.cursor..]);
        self.line.truncate(self.cursor);
        let _ = self.line.try_push_str(&text[..fits]);
        self.cursor = self.line.len();
        let _ = self.line.try_push_str(&behind);
        fits > 0
    }

    fn insert(&mut self, byte: u8, out: &mut dyn Write) {
        let text = [byte];
        let text = core::str::from_utf8(&text).unwrap_or("");
        let at_end = self.cursor == self.line.len();
        if !self.insert_all(text) {
            // Full.
            let _ = out.write_char('\x07');
        } else if at_end && self.cursor - self.scrolled < self.room() {
            let _ = out.write_str(text);
        } else {
            self.redraw(out);
        }
    }

    fn complete(&mut self, out: &mut dyn Write, complete: &mut dyn FnMut(&mut Offer<'_>)) {
        let line = self.line;
        let before = &line[..self.cursor];
        let start = before.rfind([' ', ';']).map_or(0, |place| place + 1);
        let (before, word) = before.split_at(start);
        let completed = complete::common(before, word, complete);
        let has_grown = self.insert_all(&completed.rest);
        if completed.count == 1 && (self.cursor == self.line.len()) {
            self.insert_all(" ");
        } else if completed.count == 0 {
            let _ = out.write_char('\x07');
            return;
        } else if !has_grown {
            let _ = out.write_char('\n');
            let width = Width {
                columns: self.columns,
                longest: completed.longest,
            };
            complete::list(before, word, width, out, complete);
        }
        self.redraw(out);
    }

    /// Characters of the line that there is room for; the cursor needs one more.
    fn room(&self) -> usize {
        self.columns - 1 - self.prompt.text.len().min(self.columns / 2)
    }

    fn redraw(&mut self, out: &mut dyn Write) {
        let room = self.room();
        if self.cursor < self.scrolled {
            self.scrolled = self.cursor;
        } else if self.cursor - self.scrolled > room {
            self.scrolled = self.cursor - room;
        }
        let end = self.line.len().min(self.scrolled + room);
        let Prompt { text, style } = self.prompt;
        let shown = &self.line[self.scrolled..end];
        let _ = write!(out, "\r{}{text}{}{shown}\x1b[K", style.0, style.1);
        let back = end - self.cursor.min(end);
        if back > 0 {
            let _ = write!(out, "\x1b[{back}D");
        }
    }
}

/// A copy of a part of a line.
fn copy(text: &str) -> Line {
    Line::from(text).unwrap_or_default()
}
