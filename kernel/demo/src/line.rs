//! What was checked: the lines of the closing table.

use arrayvec::{ArrayString, ArrayVec};
use core::fmt::{self, Write as _};
use machine::console::{Painted, Tone};
use report::Verdict;

/// Longest text in a line, in bytes.
const FOUND: usize = 72;

/// One line: what was checked, what was found, and whether that is right. Nothing
/// in it is of the heap, which is itself checked.
#[derive(Clone, Debug)]
pub struct Line {
    what: &'static str,
    found: ArrayString<FOUND>,
    right: bool,
}

impl Line {
    /// A line. What does not fit is cut off.
    pub fn new(what: &'static str, found: fmt::Arguments<'_>, right: bool) -> Self {
        let mut line = Self {
            what,
            found: ArrayString::new(),
            right,
        };
        // Too long is all that can go wrong.
        let _ = write!(Cut(&mut line.found), "{found}");
        line
    }
}

struct Cut<'a>(&'a mut ArrayString<FOUND>);

impl fmt::Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.floor_char_boundary(self.0.remaining_capacity());
        self.0.push_str(&text[..fits]);
        Ok(())
    }
}

/// The table.
pub type Lines = ArrayVec<Line, 24>;

/// Prints the table, and says what follows from it.
pub fn conclude(lines: &Lines) -> Verdict {
    for Line { what, found, right } in lines {
        let mark = if *right {
            Painted(Tone::Good, "ok")
        } else {
            Painted(Tone::Bad, "not ok")
        };
        println!("  {what:<9} {found:<FOUND$} {mark}");
    }
    verdict(lines)
}

/// Everything must be right; and a table without lines proves nothing.
pub fn verdict(lines: &Lines) -> Verdict {
    if !lines.is_empty() && lines.iter().all(|line| line.right) {
        Verdict::Passed
    } else {
        Verdict::ChecksFailed
    }
}
