//! Completion of the word before the cursor.

use crate::Line;
use core::fmt::{self, Write};

/// Candidates that are listed; of the rest only the number is said.
const LISTED: usize = 60;

/// What a completer offers its candidates to. It is asked twice when there are
/// several, first for what they have in common, then to list them; so nothing has to
/// be kept.
pub struct Offer<'a> {
    /// What stands before the word, from the line's start on.
    pub before: &'a str,
    /// The word so far.
    pub word: &'a str,
    stage: Stage<'a>,
}

#[allow(
    clippy::large_enum_variant,
    reason = "nothing is allocated, so there is nothing to box it in"
)]
enum Stage<'a> {
    /// The longest beginning of all candidates, how many there are, and how long the
    /// longest of those that would be listed is.
    Common {
        beginning: Line,
        count: usize,
        longest: usize,
    },
    /// `width` is that of a column and `columns` that of the terminal, and `end` where
    /// the line ends so far.
    List {
        out: &'a mut dyn Write,
        columns: usize,
        width: usize,
        end: usize,
        count: usize,
    },
}

impl fmt::Debug for Offer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "completion of `{}` behind `{}`", self.word, self.before)
    }
}

impl Offer<'_> {
    /// A candidate. Those that don't begin with the word are none, nor those that no
    /// line has room for.
    pub fn add(&mut self, candidate: &str) {
        if !candidate.starts_with(self.word)
            || !candidate.bytes().all(|b| (b' '..=b'~').contains(&b))
        {
            return;
        }
        match &mut self.stage {
            Stage::Common {
                beginning,
                count,
                longest,
            } => {
                if *count == 0 {
                    if beginning.try_push_str(candidate).is_err() {
                        return;
                    }
                } else {
                    let same = beginning.bytes().zip(candidate.bytes());
                    let same = same.take_while(|(one, other)| one == other).count();
                    beginning.truncate(same);
                }
                *count += 1;
                if *count <= LISTED {
                    *longest = candidate.len().max(*longest);
                }
            }
            Stage::List {
                out,
                columns,
                width,
                end,
                count,
            } => {
                *count += 1;
                if *count > LISTED {
                    return;
                }
                let start = end.next_multiple_of(*width);
                if start > 0 && start + candidate.len() > *columns {
                    let _ = out.write_char('\n');
                    *end = 0;
                } else {
                    let gap = start - *end;
                    let _ = write!(out, "{:gap$}", "");
                    *end = start;
                }
                let _ = out.write_str(candidate);
                *end += candidate.len();
            }
        }
    }
}

/// What can be done about a word.
pub struct Completed {
    /// To be inserted behind it.
    pub rest: Line,
    /// How many candidates there are.
    pub count: usize,
    /// How long the longest of those that are listed is.
    pub longest: usize,
}

/// Finds what all candidates have in common.
pub fn common(before: &str, word: &str, complete: &mut dyn FnMut(&mut Offer<'_>)) -> Completed {
    let mut offer = Offer {
        before,
        word,
        stage: Stage::Common {
            beginning: Line::new(),
            count: 0,
            longest: 0,
        },
    };
    complete(&mut offer);
    let mut completed = Completed {
        rest: Line::new(),
        count: 0,
        longest: 0,
    };
    if let Stage::Common {
        beginning,
        count,
        longest,
    } = offer.stage
    {
        let rest = beginning.get(word.len()..).unwrap_or("");
        completed.rest.push_str(rest);
        (completed.count, completed.longest) = (count, longest);
    }
    completed
}

/// What a list has to fit into, and what into it, in characters.
pub struct Width {
    /// The terminal.
    pub columns: usize,
    /// The longest candidate.
    pub longest: usize,
}

/// Lists all candidates in columns of one width, which the longest fits into.
pub fn list(
    before: &str,
    word: &str,
    Width { columns, longest }: Width,
    out: &mut dyn Write,
    complete: &mut dyn FnMut(&mut Offer<'_>),
) {
    let mut offer = Offer {
        before,
        word,
        stage: Stage::List {
            out,
            columns,
            width: (longest + 2).max(columns / 4),
            end: 0,
            count: 0,
        },
    };
    complete(&mut offer);
    if let Stage::List { out, count, .. } = offer.stage {
        if count > LISTED {
            let _ = write!(out, "\nand {} more", count - LISTED);
        }
        let _ = out.write_char('\n');
    }
}
