//! Tracers, by what they are for; under Linux's names they are in `tracing`.

use super::{Command, Kind};
use crate::{
    error::{CommandError, Outcome},
    input,
    interpret::Session,
    names,
};
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write;

/// The family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "trace",
        arguments: "[function|graph|hits|off|cpuNUMBER]",
        count: (0, 1),
        about: "traces calls, counts them, or stops; without an argument, shows what was seen",
        more: "`cpu1` shows what was seen on CPU 1. `function` records who called whom, `graph` how long that took, `hits` how often. Without a filter all functions are traced, this shell's too. To show what was seen stops a tracer until that is printed, and then goes on.",
        example: "filter demo::bank::*; trace function; call balance 2; trace; trace off",
        kinds: &[Kind::Words(&["function", "graph", "hits", "off", "cpu0"])],
        run: trace,
        ..Command::BASIC
    },
    Command {
        name: "filter",
        arguments: "[[!]PATTERN...|off]",
        count: (0, usize::MAX),
        about: "sets which functions are traced; without an argument, shows that",
        more: "A pattern is a function's path, or the end of one; `*` stands for anything, and what comes behind `!` is left out. `off`: all functions.",
        example: "filter demo::bank::* !rate_of; filter",
        kinds: &[Kind::Site],
        run: filter,
        ..Command::BASIC
    },
];

fn set(control: &str, value: &str) -> Result<(), CommandError> {
    tracing::write(control, value).map_err(CommandError::refused)
}

fn get(control: &str) -> Result<String, CommandError> {
    let mut text = String::new();
    tracing::read(control, &mut text).map_err(CommandError::refused)?;
    Ok(text)
}

/// Whether a tracer is attached, and whether calls are counted.
pub fn is_on() -> Result<(bool, bool), CommandError> {
    let tracer = get("current_tracer")?;
    let counts = get("function_profile_enabled")?;
    Ok((tracer.trim() != "nop", counts.trim() == "1"))
}

/// Everything as at boot.
pub fn reset() -> Outcome {
    for (control, value) in [
        ("current_tracer", "nop"),
        ("function_profile_enabled", "0"),
        ("set_ftrace_filter", ""),
        ("set_ftrace_notrace", ""),
        ("tracing_on", "1"),
        ("trace", ""),
    ] {
        set(control, value)?;
    }
    Ok(())
}

fn trace(session: &mut Session, arguments: &[&str]) -> Outcome {
    let Some(what) = arguments.first() else {
        let (_, counts) = is_on()?;
        let control = if counts {
            "trace_stat/function0"
        } else {
            "trace"
        };
        return show(session, control);
    };
    if what.starts_with("cpu") {
        return show(session, &format!("per_cpu/{what}/trace"));
    }
    match *what {
        "function" => start("function"),
        "graph" => start("function_graph"),
        "hits" => set("function_profile_enabled", "1"),
        "off" => {
            set("current_tracer", "nop")?;
            set("function_profile_enabled", "0")
        }
        other => Err(CommandError::expected(
            "function, graph, hits, off or cpu0 and so on",
            other,
        )),
    }?;
    let names = get("set_ftrace_filter")?;
    match *what {
        "off" => writeln!(
            session.out,
            "nothing is traced; `trace` still shows what was seen"
        )?,
        _ => writeln!(session.out, "tracing: {}", names.trim().replace('\n', " "))?,
    }
    Ok(())
}

/// Attaches a tracer, with nothing recorded yet.
fn start(tracer: &str) -> Outcome {
    set("current_tracer", "nop")?;
    set("trace", "")?;
    set("current_tracer", tracer)
}

fn show(session: &mut Session, control: &str) -> Outcome {
    // Or what is printed would be traced, and that would be printed.
    set("tracing_on", "0")?;
    let result = tracing::read(control, &mut session.out);
    set("tracing_on", "1")?;
    input::check()?;
    result.map_err(CommandError::refused)
}

/// Adds a pattern to a list of them; the end of a path as the whole paths that it may
/// stand for.
fn push_paths(list: &mut String, pattern: &str) -> Outcome {
    let sites = ftrace::sites();
    let paths = sites.iter().map(|site| format!("{}", site.path()));
    // The filter's own patterns end at blanks.
    let is_meant = |path: &String| names::is_named(path, pattern) && !path.contains(' ');
    let mut named: Vec<String> = Vec::new();
    // What is loaded later may match one with a `*`.
    if !pattern.contains('*') {
        named.extend(paths.filter(is_meant));
    }
    if pattern.contains('*') || named.iter().any(|path| path == pattern) {
        named = [pattern.into()].into();
    }
    if named.is_empty() {
        let what = "the path of a function with a site, the end of one, or a pattern with `*`";
        return Err(CommandError::expected(what, pattern));
    }
    for path in named {
        list.push_str(&path);
        list.push(' ');
    }
    Ok(())
}

fn filter(session: &mut Session, arguments: &[&str]) -> Outcome {
    match arguments {
        [] => {}
        ["off"] => {
            set("set_ftrace_filter", "")?;
            set("set_ftrace_notrace", "")?;
        }
        patterns => {
            let mut wanted = String::new();
            let mut unwanted = String::new();
            for pattern in patterns {
                let (list, pattern) = match pattern.strip_prefix('!') {
                    Some(pattern) => (&mut unwanted, pattern),
                    None => (&mut wanted, *pattern),
                };
                if pattern.is_empty() {
                    return Err(CommandError::expected("a pattern behind `!`", "!"));
                }
                push_paths(list, pattern)?;
            }
            let before = (get("set_ftrace_filter")?, get("set_ftrace_notrace")?);
            let changed = set("set_ftrace_filter", &wanted)
                .and_then(|()| set("set_ftrace_notrace", &unwanted));
            if let Err(error) = changed {
                // As it was: those were taken before.
                let names = |text: String| {
                    if text.starts_with('#') {
                        String::new()
                    } else {
                        text
                    }
                };
                set("set_ftrace_filter", &names(before.0))?;
                set("set_ftrace_notrace", &names(before.1))?;
                return Err(error);
            }
        }
    }
    let (wanted, unwanted) = (get("set_ftrace_filter")?, get("set_ftrace_notrace")?);
    let out = &mut session.out;
    writeln!(out, "traced:   {}", wanted.trim().replace('\n', " "))?;
    writeln!(out, "left out: {}", unwanted.trim().replace('\n', " "))?;
    Ok(())
}
