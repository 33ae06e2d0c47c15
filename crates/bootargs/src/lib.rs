//! The kernel's boot arguments: what QEMU's `-append` hands over.
//!
//! The line is a list of words separated by blanks, each `key=value`. One
//! table (`keys`) holds the keys, their values and their meaning; the parser,
//! the error messages and [`help`] all read it, so they can't disagree. Behind a
//! word `--` come commands for the shell, up to the end of the line.
//! Nothing here allocates: the parsed values borrow from the line.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod keys;
mod select;
mod values;

#[cfg(test)]
mod tests;

pub use glob::matches;
pub use select::select;
pub use values::{Color, Image, Input, LogLevel, Mmu, Mode, Reenter, Way};

use arrayvec::ArrayVec;
use core::{error, fmt, num::NonZeroU32, ops::RangeInclusive};
use keys::{KEYS, Key, Value};

/// How many `test=` patterns one line may hold.
pub const MAX_TESTS: usize = 16;

/// How wide the shell's terminal may be, in characters.
pub const COLUMNS: RangeInclusive<u16> = 20..=1000;

/// The boot arguments; [`Default`] is what an empty line means.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BootArgs<'a> {
    /// What the kernel is to do.
    pub mode: Mode,
    /// The least severe log level that is still printed.
    pub log: LogLevel,
    /// Whether the console output is coloured.
    pub color: Color,
    /// How often the soak enables and disables its patch.
    pub count: Option<NonZeroU32>,
    /// The kind of crash to provoke, of the form `[a-z0-9-]+`. Which kinds
    /// there are is for the kernel to know.
    pub crash: Option<&'a str>,
    /// The variant to hand calls over by, of the form `[a-z0-9-]+`. Which ones
    /// there are is for the kernel to know.
    pub variant: Option<&'a str>,
    /// Which cases of the conformance matrix to run: a name, or a pattern with `*`.
    pub case: Option<&'a str>,
    /// Whether the explorer leaves most of its runs out, and self-tests repeat nothing often.
    pub short: bool,
    /// The function to step a call of. Which ones there are is for the kernel to know.
    pub function: Option<&'a str>,
    /// How the stepped call goes.
    pub way: Way,
    /// Where the shell's input comes from.
    pub input: Input,
    /// How wide the shell's terminal is: in [`COLUMNS`].
    pub columns: Option<u16>,
    /// What stands behind `--`: commands for the shell, with `;` between them.
    pub commands: Option<&'a str>,
    /// By which tables addresses are translated.
    pub mmu: Mmu,
    /// How the boot stage is to enter the kernel a second time.
    pub reenter: Option<Reenter>,
    tests: ArrayVec<&'a str, MAX_TESTS>,
}

impl<'a> BootArgs<'a> {
    /// The `test=` patterns in the order given, for [`select`].
    #[must_use]
    pub fn tests(&self) -> &[&'a str] {
        &self.tests
    }

    /// The smallest image that can do what they say.
    #[must_use]
    pub fn image(&self) -> Image {
        match self.crash {
            Some(_) => Image::Test,
            None => self.mode.image(),
        }
    }
}

/// Parses a boot line. Blanks and NULs at its end are ignored, because some
/// firmware hands over C's terminator too.
///
/// # Errors
/// The first argument that is unknown, lacks a value, has a bad one, is given
/// twice, or does not go with the mode.
pub fn parse(line: &str) -> Result<BootArgs<'_>, ArgumentError<'_>> {
    let (line, commands) = split(line);
    let mut args = BootArgs {
        commands,
        ..BootArgs::default()
    };
    let mut seen = [false; KEYS.len()];
    let (mut first_test, mut first_case) = (None, None);
    for argument in words(line) {
        let bad = |kind| ArgumentError { argument, kind };
        let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
        let (key, seen) = KEYS
            .iter()
            .zip(&mut seen)
            .find(|(key, _)| key.name == name)
            .ok_or(bad(Kind::UnknownKey))?;
        if value.is_empty() {
            return Err(bad(Kind::NoValue(key)));
        }
        if *seen && !key.repeats {
            return Err(bad(Kind::GivenTwice));
        }
        *seen = true;
        match key.name {
            "test" => _ = first_test.get_or_insert(argument),
            "case" => first_case = Some(argument),
            _ => {}
        }
        (key.set)(&mut args, value).map_err(|refusal| {
            bad(match refusal {
                keys::ValueError::BadValue => Kind::BadValue(key),
                keys::ValueError::NoRoom => Kind::TooManyTests,
            })
        })?;
    }
    // Only now is the mode known: the words come in any order.
    let mode = args.mode;
    let runs_tests = !matches!(mode, Mode::Run | Mode::Echo | Mode::Shell);
    let bad = |argument, kind| Err(ArgumentError { argument, kind });
    if commands.is_some() && mode != Mode::Shell {
        return bad(COMMANDS, Kind::CommandsWithoutShell(mode));
    }
    match (first_test, first_case) {
        (Some(test), _) if !runs_tests => bad(test, Kind::TestWithoutTests(mode)),
        (_, Some(case)) if mode != Mode::Matrix => bad(case, Kind::CaseWithoutMatrix(mode)),
        _ => Ok(args),
    }
}

/// The words of a boot line without any `reenter` argument: the line for the
/// second entry, which must not ask for a third.
pub fn without_reenter(line: &str) -> impl Iterator<Item = &str> {
    let (line, commands) = split(line);
    let words = words(line).filter(|word| word.split('=').next() != Some("reenter"));
    words.chain(commands.map(|_| COMMANDS)).chain(commands)
}

/// The word that commands come behind.
const COMMANDS: &str = "--";

/// The line's words, and what comes behind [`COMMANDS`] if that is one of them.
fn split(line: &str) -> (&str, Option<&str>) {
    let line = line.trim_end_matches(|c: char| c == '\0' || c.is_ascii_whitespace());
    let is_blank = |c: Option<char>| c.is_none_or(|c| c.is_ascii_whitespace());
    let mut places = line.match_indices(COMMANDS);
    let found = places.find_map(|(place, _)| {
        let (before, behind) = (&line[..place], &line[place + COMMANDS.len()..]);
        (is_blank(before.chars().next_back()) && is_blank(behind.chars().next()))
            .then(|| (before, Some(behind.trim_ascii())))
    });
    found.unwrap_or((line, None))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_ascii_whitespace()
}

/// All arguments with their values and meanings, one a line, for people to
/// read. There is no newline at the end.
#[must_use]
pub fn help() -> impl fmt::Display {
    fmt::from_fn(|f| {
        f.write_str("boot arguments, separated by blanks:")?;
        KEYS.iter().try_for_each(|key| write!(f, "\n  {key}"))?;
        write!(
            f,
            "\n  {COMMANDS} COMMAND; COMMAND  with mode=shell: what to do first"
        )
    })
}

/// An argument that the kernel can't obey. Its text is one sentence with the
/// argument as given (what is not printable ASCII is escaped), what is wrong
/// with it, and what is allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ArgumentError<'a> {
    /// The word as it stood in the line.
    pub argument: &'a str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    UnknownKey,
    NoValue(&'static Key),
    BadValue(&'static Key),
    GivenTwice,
    TooManyTests,
    TestWithoutTests(Mode),
    CaseWithoutMatrix(Mode),
    CommandsWithoutShell(Mode),
}

impl fmt::Display for ArgumentError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "boot argument `{}`: ", self.argument.escape_default())?;
        let value = self.argument.split_once('=').map_or("", |(_, value)| value);
        match self.kind {
            Kind::UnknownKey => {
                f.write_str("unknown; allowed: ")?;
                keys::list(f, KEYS.iter().map(|key| key.name), ", ")
            }
            Kind::NoValue(key) => write!(f, "no value; allowed: {}", key.value),
            Kind::BadValue(key) => {
                let fault = match key.value {
                    Value::OneOf(_) => "unknown",
                    Value::Any { .. } => "malformed",
                };
                let value = value.escape_default();
                write!(f, "{fault} value `{value}`; allowed: {}", key.value)
            }
            Kind::GivenTwice => f.write_str("given twice; allowed: once"),
            Kind::TooManyTests => write!(f, "too many; allowed: {MAX_TESTS}"),
            Kind::TestWithoutTests(mode) => {
                write!(f, "mode={mode} runs no tests; ")?;
                f.write_str("allowed: with mode=selftest or mode=list only")
            }
            Kind::CommandsWithoutShell(mode) => {
                write!(
                    f,
                    "mode={mode} takes no commands; allowed: with mode=shell only"
                )
            }
            Kind::CaseWithoutMatrix(mode) => {
                write!(
                    f,
                    "mode={mode} asks no cases; allowed: with mode=matrix only"
                )
            }
        }
    }
}

impl error::Error for ArgumentError<'_> {}
