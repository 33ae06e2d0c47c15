//! One call, instruction by instruction.

use super::{self as guide, Way};
use alloc::{format, string::String, sync::Arc};
use core::{fmt::Write, time::Duration};
use livepatch::variants::{self, Variant};
use machine::sync::IrqLock;
use shell::{Command, CommandError, Family, Kind, Outcome, Session, input, names, workload};

/// What the monitor has for it.
pub static FAMILY: Family = Family {
    title: "calls, step by step",
    commands: &[Command {
        name: "step",
        arguments: "FUNCTION [WAY [VARIANT]]",
        count: (1, 3),
        about: "shows a call instruction by instruction, and what each one means",
        more: "Without a way, the call goes as calls go now. For a way, `settled`, `transition`, `traced` or `rest`, a patch of the function is enabled and disabled again, by another variant if one is named. Tracers stay attached, if their filter keeps to functions such as `lab::targets::*`.",
        example: "step leaf settled; step leaf settled shared-toc",
        kinds: &[
            Kind::Listed(guide::functions),
            Kind::Words(WAYS),
            Kind::Variant,
        ],
        run: step,
        ..Command::BASIC
    }],
};

/// How calls can go.
const WAYS: &[&str] = &["now", "settled", "transition", "traced", "rest"];

fn way(word: &str) -> Result<Way, CommandError> {
    Ok(match word {
        "now" => Way::AsIs,
        "settled" => Way::Settled,
        "transition" => Way::Transition,
        "traced" => Way::Traced,
        "rest" => Way::Rest,
        _ => {
            let near = names::nearest(word, WAYS.iter().copied());
            let what = format!("a way that calls go: {}", WAYS.join(", "));
            return Err(CommandError::expected_near(what, word, near));
        }
    })
}

fn variant(name: &str) -> Result<&'static Variant, CommandError> {
    variants::find(name).ok_or_else(|| {
        let all = variants::VARIANTS.iter().map(|variant| variant.name);
        let what = "a variant's name (`variant` lists them)";
        CommandError::expected_near(what, name, names::nearest(name, all))
    })
}

/// Chooses a variant, if it is another. A shell never runs on one that does not give
/// callers their r2 back; the stepped call, which minds its own, may.
fn hand_over_by(variant: &'static Variant) -> Outcome {
    if variants::current().name == variant.name {
        return Ok(());
    }
    variants::adopt(variant).map_err(CommandError::refused)
}

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was shown, and whether that is all.
type Shown = (String, Result<(), String>);

/// Where a patch must be enabled for the way, nothing else may be: the call is to be the
/// one that was asked for, and no thread may block the transition.
fn check_rest() -> Result<(), CommandError> {
    let why = if !livepatch::patches().is_empty() {
        "a patch is enabled"
    } else if !workload::members().is_empty() {
        "threads were spawned"
    } else {
        return Ok(());
    };
    Err(CommandError::refused(format!(
        "{why}: `step FUNCTION` shows a call as calls go now; `reset` puts everything back"
    )))
}

/// A step stops at every instruction, and what runs at each stop calls functions. If those
/// are traced, they write where a tracer that is being stepped writes, between its load
/// and its conditional store. The function tracer finds each time that its ring has moved
/// on, and starts over for ever. The graph tracer counts hooked calls of the same thread:
/// those of the stop are on its stack of returns for the time being, and one more than
/// there are is written back, so that the next return leads to nowhere. So only functions
/// that a step does not need may be traced.
fn check_tracers() -> Outcome {
    let (traced, counted) = shell::is_tracing()?;
    if !traced && !counted {
        return Ok(());
    }
    let in_the_way = ftrace::sites().iter().find_map(|site| {
        let attached = ftrace::attached(site);
        let is_traced = attached.iter().any(|name| tracing::is_tracer(name));
        // What a module brings along no step needs.
        if !is_traced || loader::at(site.function()).is_some() {
            return None;
        }
        let path = format!("{}", site.path());
        (!guide::is_related(&path)).then_some(path)
    });
    in_the_way.map_or(Ok(()), |path| {
        Err(CommandError::refused(format!(
            "the kernel's own functions are traced, such as `{path}`, and the step needs them itself; `filter lab::targets::*` traces others, `trace off` none"
        )))
    })
}

fn step(session: &mut Session, arguments: &[&str]) -> Outcome {
    let (function, rest) = match arguments {
        [function, rest @ ..] => (String::from(*function), rest),
        [] => return Err(CommandError::Usage),
    };
    let way = rest.first().map_or(Ok(Way::AsIs), |word| way(word))?;
    let before = variants::current();
    let wanted = rest.get(1).map_or(Ok(before), |name| variant(name))?;
    if way != Way::AsIs || rest.len() > 1 {
        check_rest()?;
    }
    check_tracers()?;
    hand_over_by(wanted)?;
    let shown = in_a_thread(move || {
        let mut text = String::new();
        let result = guide::step(&function, way, &mut text);
        let result = result.map(drop).map_err(|refused| format!("{refused}"));
        (text, result)
    });
    let back = hand_over_by(before);
    let (text, result) = shown?;
    session.out.write_str(&text)?;
    result.map_err(CommandError::refused)?;
    back
}

/// So that a fault of the replacement takes nothing else along.
fn in_a_thread(body: impl FnOnce() -> Shown + Send + 'static) -> Result<Shown, CommandError> {
    let shown = Arc::new(IrqLock::new(None));
    let its = shown.clone();
    let handle = workload::call("step", move || {
        let shown = body();
        *its.lock() = Some(shown);
    })?;
    let is_there = || handle.is_done();
    match input::wait(PATIENCE, is_there) {
        Ok(true) => {}
        Ok(false) => {
            handle.leave();
            return Err(CommandError::refused(
                "the call has not returned; `threads` shows its thread",
            ));
        }
        Err(error) => {
            handle.leave();
            return Err(error);
        }
    }
    let stopped = |stopped| CommandError::refused(format!("the call has not returned: {stopped}"));
    handle.join().map_err(stopped)?;
    let shown = shown.lock().take();
    shown.ok_or_else(|| CommandError::refused("nothing was shown"))
}
