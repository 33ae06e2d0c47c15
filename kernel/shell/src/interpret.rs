//! From a line to commands, and from what went wrong to a sentence.

use super::{
    commands::{self, Command},
    error::{CommandError, Outcome},
    input, names,
    output::Out,
};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::fmt::{self, Write};
use lineedit::LINE_BYTES;
use machine::console::{self, Painted, Tone};

/// How many lines were given, blank ones left out, and how many of them have failed.
#[derive(Clone, Debug, Default)]
pub struct Score {
    lines: usize,
    failed: usize,
    /// Of those that have failed.
    first: String,
}

impl Score {
    /// How many lines have failed.
    pub fn failed(&self) -> usize {
        self.failed
    }

    fn fail(&mut self, line: &str) {
        if self.failed == 0 {
            self.first = line.to_owned();
        }
        self.failed += 1;
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lines,
            failed,
            first,
        } = self;
        let which = if *failed == 1 { "" } else { ", the first" };
        write!(f, "{failed} of {lines} lines failed{which}: `{first}`")
    }
}

/// Lines that were given, and what became of them.
#[derive(Debug)]
pub struct Session {
    /// What commands write to.
    pub out: Out,
    score: Score,
    over: bool,
    gentle: bool,
}

impl Session {
    /// Nothing was given yet.
    pub fn new(out: Out) -> Self {
        Self {
            out,
            score: Score::default(),
            over: false,
            gentle: false,
        }
    }

    /// What became of the lines so far.
    pub fn score(&self) -> &Score {
        &self.score
    }

    /// Lets only these lines count: a person has seen the others fail.
    pub fn forgive(&mut self, score: Score) {
        self.score = score;
    }

    /// Whether there is to be no other line.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Ends it.
    pub fn end(&mut self) {
        self.over = true;
    }

    /// Goes on although it was ended.
    pub fn go_on(&mut self) {
        self.over = false;
    }

    /// Refuses commands whose effect stays for good.
    pub fn be_gentle(&mut self, gentle: bool) {
        self.gentle = gentle;
    }

    /// Does what a line says: commands with `;` between them, up to a `#`. What comes
    /// behind ^C is left out.
    pub fn line(&mut self, line: &str) {
        let line = line.split('#').next().unwrap_or("").trim();
        self.score.lines += usize::from(!line.is_empty());
        if !self.commands(line) {
            self.score.fail(line);
        }
    }

    /// Whether each of them did what it was asked.
    fn commands(&mut self, line: &str) -> bool {
        let mut all_work = true;
        for command in line.split(';') {
            let result = input::while_running(|| self.command(command));
            self.out.end_line();
            if let Err((command, error)) = result {
                all_work = false;
                self.complain(command, &error);
                if error == CommandError::Interrupted {
                    break;
                }
            }
            if self.over {
                break;
            }
        }
        all_work
    }

    /// A line was too long to be taken in.
    pub fn too_long(&mut self) {
        self.score.lines += 1;
        self.score.fail("(too long)");
        let what = format!("a line of at most {LINE_BYTES} characters");
        self.complain(None, &CommandError::expected(what, "a longer one"));
    }

    fn command(&mut self, text: &str) -> Result<(), (Option<&'static Command>, CommandError)> {
        // On the heap: with all the words that a line can have, this frame would be larger than that
        // of a replacement may be, and most functions of the table of commands are called from here.
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let Some((name, arguments)) = words.split_first() else {
            return Ok(());
        };
        let Some(command) = commands::find(name) else {
            if let Some(error) = commands::elsewhere(name) {
                return Err((None, error));
            }
            let near = names::nearest(name, commands::all().map(|command| command.name));
            let what = "a command (`help` lists them)";
            return Err((None, CommandError::expected_near(what, name, near)));
        };
        self.run(command, arguments)
            .map_err(|error| (Some(command), error))
    }

    fn run(&mut self, command: &'static Command, arguments: &[&str]) -> Outcome {
        if !command.takes(arguments.len()) {
            return Err(CommandError::Usage);
        }
        if self.gentle && command.stays {
            return Err(CommandError::refused("what it does stays for good"));
        }
        let _piece = command.is_table.then(console::piece);
        (command.run)(self, arguments)
    }

    fn complain(&mut self, command: Option<&Command>, error: &CommandError) {
        // ^C may have been typed, and does not count here.
        let bad = |text| Painted(Tone::Bad, text);
        let _ = match (error, command) {
            (CommandError::Interrupted, _) => writeln!(self.out, "{}", bad("interrupted")),
            (CommandError::Usage, Some(command)) if command.arguments.is_empty() => {
                writeln!(self.out, "{}: takes no arguments", bad(command.name))
            }
            (CommandError::Usage, Some(command)) => writeln!(
                self.out,
                "{}: expected `{}`, such as `{}`",
                bad(command.name),
                command.usage(),
                command.example
            ),
            (error, Some(command)) => {
                writeln!(self.out, "{}: {error}", bad(command.name))
            }
            (error, None) => writeln!(self.out, "{}: {error}", bad("error")),
        };
        self.out.end_line();
    }
}
