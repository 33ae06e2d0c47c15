//! Help, and the end.

use super::{Command, Kind, all, elsewhere, families, find};
use crate::{
    error::{CommandError, Outcome},
    interpret::Session,
    names,
};
use core::fmt::Write;
use machine::console::{Painted, Tone};

/// The family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "help",
        arguments: "[COMMAND]",
        count: (0, 1),
        about: "lists the commands, or tells about one",
        more: "`help examples` prints an example of each command, to be tried.",
        example: "help enable",
        kinds: &[Kind::Command],
        run: help,
        is_table: true,
        ..Command::BASIC
    },
    Command {
        name: "poweroff",
        about: "ends all this; so does ^D",
        more: "In a script, and of commands in the boot arguments, the run counts as failed if any of them has.",
        example: "poweroff",
        run: |session, _| {
            session.end();
            Ok(())
        },
        ..Command::BASIC
    },
];

fn help(session: &mut Session, arguments: &[&str]) -> Outcome {
    let out = &mut session.out;
    match arguments {
        [] => {
            for family in families() {
                writeln!(out, "{}", Painted(Tone::Heading, family.title))?;
                for command in family.commands {
                    writeln!(out, "  {:<34} {}", command.usage(), command.about)?;
                }
            }
            writeln!(
                out,
                "`help COMMAND` tells more, with an example. Commands on one line have `;` between them."
            )?;
            Ok(())
        }
        ["examples"] => {
            for command in all() {
                writeln!(out, "{}", command.example)?;
            }
            Ok(())
        }
        [name, ..] => {
            let Some(command) = find(name) else {
                if let Some(error) = elsewhere(name) {
                    return Err(error);
                }
                let near = names::nearest(name, all().map(|command| command.name));
                return Err(CommandError::expected_near("a command", name, near));
            };
            writeln!(out, "{}", Painted(Tone::Heading, command.usage()))?;
            writeln!(out, "  {}.", command.about)?;
            if !command.more.is_empty() {
                writeln!(out, "  {}", command.more)?;
            }
            writeln!(out, "  Example: {}", command.example)?;
            Ok(())
        }
    }
}
