//! The commands. This table is all that help, completion and the interpreter know of
//! them; every example in it is run by a test.

pub mod calls;
pub mod code;
mod help;
mod modules;
mod pages;
mod patches;
pub mod system;
mod threads;
pub mod tracing;
mod transition;

use super::{
    error::{CommandError, Outcome},
    interpret::Session,
};
use crate as monitor;
use alloc::{format, string::String, vec::Vec};
use bootargs::Image;

/// A command.
#[derive(Debug)]
pub struct Command {
    /// What it is called.
    pub name: &'static str,
    /// Its arguments, as help shows them.
    pub arguments: &'static str,
    /// How many arguments it takes: from so many to so many.
    pub count: (usize, usize),
    /// What it does, in a sentence.
    pub about: &'static str,
    /// More, where a sentence is not enough.
    pub more: &'static str,
    /// How it is used. Works in a shell where nothing was done before.
    pub example: &'static str,
    /// What its arguments are; the last kind is that of all that follow.
    pub kinds: &'static [Kind],
    /// Whether nothing can undo what it does.
    pub stays: bool,
    /// Whether it prints a table, and waits for nothing meanwhile: what other threads print
    /// comes behind it.
    pub is_table: bool,
    /// Does it.
    pub run: fn(&mut Session, &[&str]) -> Outcome,
}

/// What an argument is, for completion.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One of these words.
    Words(&'static [&'static str]),
    /// A command.
    Command,
    /// A function.
    Function,
    /// A function that can be traced.
    Site,
    /// A function that `call` takes.
    Callable,
    /// One of these words, which are looked up.
    Listed(fn() -> Vec<&'static str>),
    /// A thread.
    Thread,
    /// A thread that `kill` takes.
    Workload,
    /// A module that came with the kernel.
    File,
    /// A module that is loaded.
    Module,
    /// A patch that is enabled, or in transition.
    Patch,
    /// A variant.
    Variant,
}

impl Command {
    /// What most commands have in common.
    pub const BASIC: Self = Self {
        name: "",
        arguments: "",
        count: (0, 0),
        about: "",
        more: "",
        example: "",
        kinds: &[],
        stays: false,
        is_table: false,
        run: |_, _| Ok(()),
    };

    /// Whether it takes so many arguments.
    pub fn takes(&self, count: usize) -> bool {
        (self.count.0..=self.count.1).contains(&count)
    }

    /// Name and arguments.
    pub fn usage(&self) -> String {
        match self.arguments {
            "" => self.name.into(),
            arguments => format!("{} {arguments}", self.name),
        }
    }

    /// What the argument at an index is.
    pub fn kind(&self, index: usize) -> Option<Kind> {
        if index >= self.count.1 {
            return None;
        }
        self.kinds.get(index).or(self.kinds.last()).copied()
    }
}

/// Commands that have to do with each other.
#[derive(Debug)]
pub struct Family {
    /// What with.
    pub title: &'static str,
    /// The commands.
    pub commands: &'static [Command],
}

/// The shell's own, in the order of help. A new command is a row in a family.
static FAMILIES: &[Family] = &[
    Family {
        title: "patches",
        commands: patches::COMMANDS,
    },
    Family {
        title: "transitions",
        commands: transition::COMMANDS,
    },
    Family {
        title: "modules",
        commands: modules::COMMANDS,
    },
    Family {
        title: "code",
        commands: code::COMMANDS,
    },
    Family {
        title: "calls",
        commands: calls::COMMANDS,
    },
    Family {
        title: "threads",
        commands: threads::COMMANDS,
    },
    Family {
        title: "tracing",
        commands: tracing::COMMANDS,
    },
    Family {
        title: "the machine",
        commands: system::COMMANDS,
    },
    Family {
        title: "this shell",
        commands: help::COMMANDS,
    },
];

/// All families, in the order of help: the shell's own, then what the image adds.
pub fn families() -> impl Iterator<Item = &'static Family> {
    let others = monitor::extensions().iter().flat_map(|one| one.families);
    FAMILIES.iter().chain(others.copied())
}

/// All commands.
pub fn all() -> impl Iterator<Item = &'static Command> {
    families().flat_map(|family| family.commands)
}

/// Commands that only larger images have: what each is called, which image has it, and
/// what does the same from the host.
static ELSEWHERE: [(&str, Image, &str); 4] = [
    ("step", Image::Lab, "step"),
    ("bench", Image::Lab, "bench"),
    ("selftest", Image::Test, "run ARGS=mode=selftest"),
    ("fuzz", Image::Test, "test FILTER=shell::fuzz"),
];

/// Where a command is to be had that this image has not.
pub fn elsewhere(name: &str) -> Option<CommandError> {
    let (name, image, target) = ELSEWHERE.iter().find(|(known, ..)| *known == name)?;
    Some(CommandError::refused(format!(
        "`{name}` is not part of this image: `make {target}`, or `make shell IMAGE={image}`"
    )))
}

/// The command of a name.
pub fn find(name: &str) -> Option<&'static Command> {
    all().find(|command| command.name == name)
}
