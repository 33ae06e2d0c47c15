//! Modules: what came with the kernel, and what is loaded.

use super::{Command, Kind, calls};
use crate::{
    error::{CommandError, Outcome},
    interpret::Session,
    names,
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::fmt::Write;
use livepatch::Descriptor;
use loader::Module;
use machine::{
    console::{Painted, Tone},
    symbols::Path,
};

/// The family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "modules",
        about: "lists the modules that are loaded, and those that can be",
        more: "A module that replaces functions is a patch: `enable` puts it to use.",
        example: "modules",
        run: modules,
        is_table: true,
        ..Command::BASIC
    },
    Command {
        name: "load",
        arguments: "MODULE",
        count: (1, 1),
        about: "loads a module that came with the kernel, and changes no function yet",
        example: "load two_percent",
        kinds: &[Kind::File],
        run: load,
        ..Command::BASIC
    },
    Command {
        name: "unload",
        arguments: "MODULE",
        count: (1, 1),
        about: "unloads a module that is not in use",
        more: "A patch has to be disabled first. One that was forced stays for good.",
        example: "load two_percent; unload two_percent",
        kinds: &[Kind::Module],
        run: unload,
        ..Command::BASIC
    },
    Command {
        name: "exports",
        arguments: "[PATTERN]",
        count: (0, 1),
        about: "lists what modules may call in the kernel",
        more: "`call` takes those that are marked. A function is exported by `export!`, beside it.",
        example: "exports bank*",
        is_table: true,
        run: exports,
        ..Command::BASIC
    },
];

fn modules(session: &mut Session, _: &[&str]) -> Outcome {
    let out = &mut session.out;
    let loaded = loader::loaded();
    if !loaded.is_empty() {
        let title = format!(
            "{:<28} {:<23} {:>5}  {}",
            "loaded", "at", "sites", "as a patch"
        );
        writeln!(out, "{}", Painted(Tone::Heading, title))?;
    }
    for module in &loaded {
        let range = module.range();
        let range = format!("{:#x} to {:#x}", range.start, range.end);
        let patch = match livepatch::find(&module.name) {
            Some((_, status)) => format!("{status:?}").to_ascii_lowercase(),
            None if Descriptor::of(module).targets.is_empty() => "none".into(),
            None => "not enabled".into(),
        };
        writeln!(
            out,
            "{:<28} {range:<23} {:>5}  {patch}",
            module.name, module.sites
        )?;
    }
    let others: Vec<_> = loader::files_for_current()
        .into_iter()
        .filter(|file| !loaded.iter().any(|module| module.name == file.name))
        .collect();
    writeln!(out, "{}", Painted(Tone::Heading, "can be loaded"))?;
    match loader::initrd_error() {
        Some(error) => writeln!(out, "none: {error}")?,
        None if others.is_empty() => writeln!(out, "none")?,
        None => {}
    }
    for row in others.chunks(3) {
        for file in row {
            write!(out, "{:<28}", file.name)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The module of a name, loaded if it is not yet, and whether it was loaded just now. One
/// that was loaded for another variant, and can't be used by this one, is loaded anew.
pub fn loaded(name: &str) -> Result<(Arc<Module>, bool), CommandError> {
    if let Some(module) = loader::find(name) {
        if module.is_as_expected() {
            return Ok((module, false));
        }
        drop(module);
        loader::unload(name).map_err(|error| {
            let reason = "was loaded for another variant, and has to be loaded anew";
            CommandError::refused(format!("module `{name}` {reason}: {error}"))
        })?;
    }
    let Ok(file) = loader::find_file(name) else {
        if let Some(error) = loader::initrd_error() {
            return Err(CommandError::refused(error));
        }
        let files = loader::files_for_current();
        let near = names::nearest(name, files.iter().map(|file| file.name));
        let what = "a module's name (`modules` lists them)";
        return Err(CommandError::expected_near(what, name, near));
    };
    let module = file.load().map_err(CommandError::refused)?;
    Ok((module, true))
}

/// What a module would replace, for the reader.
pub fn replaces(module: &Module) -> String {
    let descriptor = Descriptor::of(module);
    let targets = descriptor.targets.iter();
    let count: usize = targets.map(|target| target.functions.len()).sum();
    match count {
        0 => "replaces no function".into(),
        1 => "replaces 1 function".into(),
        count => format!("replaces {count} functions"),
    }
}

fn load(session: &mut Session, arguments: &[&str]) -> Outcome {
    let name = arguments[0];
    let (module, new) = loaded(name)?;
    if !new {
        return Err(CommandError::refused(format!(
            "module `{name}` is loaded already"
        )));
    }
    let range = module.range();
    writeln!(
        session.out,
        "module `{name}` is at {:#x} to {:#x}; it {}",
        range.start,
        range.end,
        replaces(&module)
    )?;
    Ok(())
}

fn unload(session: &mut Session, arguments: &[&str]) -> Outcome {
    let name = arguments[0];
    let loaded = loader::loaded();
    if !loaded.iter().any(|module| module.name == name) {
        let near = names::nearest(name, loaded.iter().map(|module| module.name.as_str()));
        return Err(CommandError::expected_near(
            "a module that is loaded",
            name,
            near,
        ));
    }
    drop(loaded);
    if livepatch::find(name).is_some() {
        return Err(CommandError::refused(format!(
            "patch `{name}` is enabled; `disable {name}` comes first"
        )));
    }
    loader::unload(name).map_err(CommandError::refused)?;
    writeln!(session.out, "module `{name}` is gone")?;
    Ok(())
}

fn exports(session: &mut Session, arguments: &[&str]) -> Outcome {
    let out = &mut session.out;
    let pattern = arguments.first().copied().unwrap_or("*");
    let mut count = 0;
    for export in loader::exports() {
        let (name, address) = (export.name, export.function as u64);
        if !glob::matches(pattern, name) {
            continue;
        }
        let can_be_called = calls::callables().any(|one| one.is_named(name));
        let mark = if can_be_called { "call" } else { "" };
        writeln!(
            out,
            "  {address:#10x}  {mark:<4}  {name:<24} {}",
            Path(address)
        )?;
        count += 1;
    }
    if count == 0 {
        let what = "an exported function's name, or a pattern with `*` (`exports` lists all)";
        return Err(CommandError::expected(what, pattern));
    }
    Ok(())
}
