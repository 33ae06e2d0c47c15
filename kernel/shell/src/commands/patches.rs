//! Patches: in use, out of use, and by which variant.

use super::{Command, Kind, modules, transition};
use crate::{
    error::{CommandError, Outcome},
    interpret::Session,
    names,
};
use alloc::format;
use core::fmt::Write;
use livepatch::{Options, Status, variants};
use machine::{
    console::{Painted, Tone},
    symbols::Path,
};

/// The family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "patches",
        about: "lists the patches that are enabled, and what they replace",
        example: "enable two_percent; patches",
        run: patches,
        is_table: true,
        ..Command::BASIC
    },
    Command {
        name: "enable",
        arguments: "PATCH [nowait]",
        count: (1, 2),
        about: "replaces functions by a patch's, thread by thread",
        more: "Loads its module if need be, and anew if it was loaded for another variant. Waits a moment for all threads to switch, but not with `nowait`; a transition that goes on is shown by `transition`.",
        example: "call balance 3; enable two_percent; call balance 3",
        kinds: &[Kind::File, Kind::Words(&["nowait"])],
        run: enable,
        ..Command::BASIC
    },
    Command {
        name: "disable",
        arguments: "PATCH [nowait]",
        count: (1, 2),
        about: "lets calls run the old functions again, thread by thread",
        more: "A patch that is just being enabled is reversed.",
        example: "enable two_percent; disable two_percent; call balance 3",
        kinds: &[Kind::Patch, Kind::Words(&["nowait"])],
        run: disable,
        ..Command::BASIC
    },
    Command {
        name: "variant",
        arguments: "[NAME]",
        count: (0, 1),
        about: "lists the ways to hand calls over to patches, or chooses one",
        more: "Only while no patch is enabled. A module that was loaded for another variant is loaded anew when it is enabled.",
        example: "variant livepatch-stack; enable two_percent; call balance 3",
        kinds: &[Kind::Variant],
        run: variant,
        ..Command::BASIC
    },
];

/// What a patch's status is called.
fn status_name(status: Status) -> &'static str {
    match status {
        Status::Enabling => "being enabled",
        Status::Enabled => "enabled",
        Status::Disabling => "being disabled",
    }
}

fn patches(session: &mut Session, _: &[&str]) -> Outcome {
    let out = &mut session.out;
    let patches = livepatch::patches();
    if patches.is_empty() {
        writeln!(out, "no patch is enabled; `modules` lists what can be")?;
        return Ok(());
    }
    for (patch, status) in patches {
        let tone = match status {
            Status::Enabled => Tone::Good,
            _ => Tone::New,
        };
        let status = Painted(tone, status_name(status));
        let pinned = if patch.is_pinned() {
            ", for good: it was forced"
        } else {
            ""
        };
        let name = Painted(Tone::Heading, patch.name());
        writeln!(
            out,
            "{name}: {status}{pinned}; handed over by `{}`",
            variants::current().name
        )?;
        for replacement in &patch.descriptor.replacements {
            writeln!(
                out,
                "  {} -> {}",
                Path(replacement.old),
                Path(replacement.new)
            )?;
        }
        for target in &patch.descriptor.targets {
            let Some(module) = &target.module else {
                continue;
            };
            let loaded = if loader::find(module).is_some() {
                ""
            } else {
                ", which is not loaded"
            };
            for function in &target.functions {
                writeln!(out, "  {} of module {module}{loaded}", function.path)?;
            }
        }
    }
    Ok(())
}

/// Whether not to wait.
fn nowait(arguments: &[&str]) -> Result<bool, CommandError> {
    match arguments.get(1) {
        None => Ok(false),
        Some(&"nowait") => Ok(true),
        Some(other) => Err(CommandError::expected("`nowait`, or nothing", other)),
    }
}

fn enable(session: &mut Session, arguments: &[&str]) -> Outcome {
    let name = arguments[0];
    let nowait = nowait(arguments)?;
    if livepatch::find(name).is_some() {
        return Err(CommandError::refused(format!(
            "patch `{name}` is enabled already"
        )));
    }
    let (module, new) = modules::loaded(name)?;
    let result = livepatch::enable(&module, Options::default()).map(drop);
    drop(module);
    if let Err(error) = result {
        if new {
            // No other owner exists yet, so it can only go well.
            let _ = loader::unload(name);
        }
        return Err(CommandError::refused(error));
    }
    transition::settle(&mut session.out, name, nowait)
}

fn disable(session: &mut Session, arguments: &[&str]) -> Outcome {
    let name = arguments[0];
    let nowait = nowait(arguments)?;
    let patches = livepatch::patches();
    if !patches.iter().any(|(patch, _)| patch.name() == name) {
        let near = names::nearest(name, patches.iter().map(|(patch, _)| patch.name()));
        let what = "a patch that is enabled (`patches` lists them)";
        return Err(CommandError::expected_near(what, name, near));
    }
    drop(patches);
    livepatch::disable(name).map_err(CommandError::refused)?;
    transition::settle(&mut session.out, name, nowait)
}

fn variant(session: &mut Session, arguments: &[&str]) -> Outcome {
    let out = &mut session.out;
    let Some(name) = arguments.first() else {
        let current = variants::current();
        for variant in variants::VARIANTS {
            let mark = if variant.name == current.name {
                '*'
            } else {
                ' '
            };
            let tone = if mark == '*' {
                Tone::Good
            } else {
                Tone::Heading
            };
            let name = Painted(tone, format!("{:<19}", variant.name));
            writeln!(out, "{mark} {name} {}", variant.about)?;
            let reason = match (variant.needs)() {
                Err(reason) => reason,
                Ok(()) if !variant.gives_back_toc => {
                    "leaves callers with a wrong r2: not for a shell"
                }
                Ok(()) => continue,
            };
            writeln!(out, "  {:<19} not here: {reason}", "")?;
        }
        return Ok(());
    };
    let Some(variant) = variants::find(name) else {
        let all = variants::VARIANTS.iter().map(|variant| variant.name);
        let what = "a variant's name (`variant` lists them)";
        return Err(CommandError::expected_near(
            what,
            name,
            names::nearest(name, all),
        ));
    };
    if !variant.gives_back_toc {
        return Err(CommandError::refused(format!(
            "`{name}` leaves callers with a wrong r2, and the shell would run on it; `make matrix VARIANT={name}` shows how"
        )));
    }
    variants::choose(name).map_err(CommandError::refused)?;
    writeln!(out, "calls are handed over by `{name}`: {}", variant.about)?;
    Ok(())
}
