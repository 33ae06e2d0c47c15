//! The table of all boot arguments.

use crate::{BootArgs, COLUMNS, Color, Input, LogLevel, Mmu, Mode, Reenter, Way};
use core::fmt;

/// One row of the table.
pub struct Key {
    pub name: &'static str,
    pub value: Value,
    /// The value that stands for itself when the key is not given.
    pub default: Option<&'static str>,
    /// Whether the key may be given more than once.
    pub repeats: bool,
    pub about: &'static str,
    /// Puts a value, never an empty one, into its place.
    pub set: for<'a> fn(&mut BootArgs<'a>, &'a str) -> Result<(), ValueError>,
}

/// What a key's values look like.
pub enum Value {
    OneOf(&'static [&'static str]),
    /// Open-ended: a name for it in [`crate::help`], and its description.
    Any {
        name: &'static str,
        form: &'static str,
    },
}

/// Why a value was not taken.
pub enum ValueError {
    BadValue,
    NoRoom,
}

/// All keys, as messages list them.
pub static KEYS: &[Key; 15] = &[
    Key {
        name: "mode",
        value: Value::OneOf(Mode::WORDS),
        default: Some(Mode::Run.word()),
        repeats: false,
        about: "what to do after boot",
        set: |args, value| put(&mut args.mode, Mode::from_word(value)),
    },
    Key {
        name: "test",
        value: Value::Any {
            name: "PATTERN",
            form: "a test's path, a path prefix that ends in `::`, or a pattern with `*`",
        },
        default: None,
        repeats: true,
        about: "run or list these self-tests only; may be repeated",
        set: |args, value| args.tests.try_push(value).map_err(|_| ValueError::NoRoom),
    },
    Key {
        name: "count",
        value: Value::Any {
            name: "NUMBER",
            form: "a whole number from 1 to 4294967295",
        },
        default: None,
        repeats: false,
        about: "how often mode=soak enables and disables its patch, or a long self-test goes round",
        set: |args, value| put(&mut args.count, value.parse().ok().map(Some)),
    },
    Key {
        name: "log",
        value: Value::OneOf(LogLevel::WORDS),
        default: Some(LogLevel::Info.word()),
        repeats: false,
        about: "the least severe log level to print",
        set: |args, value| put(&mut args.log, LogLevel::from_word(value)),
    },
    Key {
        name: "color",
        value: Value::OneOf(Color::WORDS),
        default: Some(Color::Never.word()),
        repeats: false,
        about: "colour the console output",
        set: |args, value| put(&mut args.color, Color::from_word(value)),
    },
    Key {
        name: "crash",
        value: Value::Any {
            name: "KIND",
            form: "a kind of crash, in the characters a-z, 0-9 and -",
        },
        default: None,
        repeats: false,
        about: "crash on purpose",
        set: |args, value| put(&mut args.crash, word(value)),
    },
    Key {
        name: "variant",
        value: Value::Any {
            name: "NAME",
            form: "a variant's name, in the characters a-z, 0-9 and -",
        },
        default: None,
        repeats: false,
        about: "hand calls over to patches in this way",
        set: |args, value| put(&mut args.variant, word(value)),
    },
    Key {
        name: "case",
        value: Value::Any {
            name: "PATTERN",
            form: "a case's name, or a pattern with `*`",
        },
        default: None,
        repeats: false,
        about: "with mode=matrix: only these cases",
        set: |args, value| put(&mut args.case, Some(Some(value))),
    },
    Key {
        name: "short",
        value: Value::OneOf(&["yes", "no"]),
        default: Some("no"),
        repeats: false,
        about: "with mode=explore: a sample of all runs; with mode=selftest: nothing is repeated often",
        set: |args, value| {
            let short = match value {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            };
            put(&mut args.short, short)
        },
    },
    Key {
        name: "function",
        value: Value::Any {
            name: "PATH",
            form: "a function's path or the last part of it, in the characters a-z, A-Z, 0-9, _ and :",
        },
        default: None,
        repeats: false,
        about: "with mode=step: the function to call",
        set: |args, value| put(&mut args.function, path(value)),
    },
    Key {
        name: "way",
        value: Value::OneOf(Way::WORDS),
        default: Some(Way::Settled.word()),
        repeats: false,
        about: "with mode=step: how the call goes",
        set: |args, value| put(&mut args.way, Way::from_word(value)),
    },
    Key {
        name: "input",
        value: Value::OneOf(Input::WORDS),
        default: Some(Input::Terminal.word()),
        repeats: false,
        about: "with mode=shell: who types the commands",
        set: |args, value| put(&mut args.input, Input::from_word(value)),
    },
    Key {
        name: "columns",
        value: Value::Any {
            name: "NUMBER",
            form: "a whole number from 20 to 1000",
        },
        default: None,
        repeats: false,
        about: "with mode=shell: how wide the terminal is",
        set: |args, value| {
            let columns = value.parse().ok().filter(|one| COLUMNS.contains(one));
            put(&mut args.columns, columns.map(Some))
        },
    },
    Key {
        name: "mmu",
        value: Value::OneOf(Mmu::WORDS),
        default: Some(Mmu::Auto.word()),
        repeats: false,
        about: "by which tables addresses are translated",
        set: |args, value| put(&mut args.mmu, Mmu::from_word(value)),
    },
    Key {
        name: "reenter",
        value: Value::OneOf(Reenter::WORDS),
        default: None,
        repeats: false,
        about: "enter the kernel a second time, in this way",
        set: |args, value| put(&mut args.reenter, Reenter::from_word(value).map(Some)),
    },
];

fn put<T>(place: &mut T, value: Option<T>) -> Result<(), ValueError> {
    *place = value.ok_or(ValueError::BadValue)?;
    Ok(())
}

/// A value in the characters of a name.
fn word(value: &str) -> Option<Option<&str>> {
    let fits = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    value.bytes().all(fits).then_some(Some(value))
}

/// A value in the characters of a path.
fn path(value: &str) -> Option<Option<&str>> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':');
    value.bytes().all(fits).then_some(Some(value))
}

/// Writes `items` with `between` them.
pub fn list(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = &'static str>,
    between: &str,
) -> fmt::Result {
    items.enumerate().try_for_each(|(index, item)| {
        let before = if index == 0 { "" } else { between };
        write!(f, "{before}{item}")
    })
}

/// A row of the help: `mode=run|selftest  what to do after boot (default: run)`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.name)?;
        match self.value {
            Value::OneOf(words) => list(f, words.iter().copied(), "|")?,
            Value::Any { name, .. } => f.write_str(name)?,
        }
        write!(f, "  {}", self.about)?;
        match self.default {
            Some(default) => write!(f, " (default: {default})"),
            None => Ok(()),
        }
    }
}

/// The allowed values, as an error message lists them.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::OneOf(words) => list(f, words.iter().copied(), ", "),
            Value::Any { form, .. } => f.write_str(form),
        }
    }
}

// A key is its name: the table has every name once.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
