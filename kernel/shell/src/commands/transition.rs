//! Transitions: who has switched, who has not and why, and what can be done.

use super::Command;
use crate::{
    error::{CommandError, Outcome},
    input,
    interpret::Session,
    output::Out,
};
use alloc::{format, string::ToString, vec::Vec};
use core::{fmt::Write, time::Duration};
use livepatch::{Progress, Running};
use machine::console::{Painted, Tone};

/// The family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "transition",
        about: "shows who has switched, and who has not and why",
        more: "`CPU` is the one that a thread runs on, or ran on last.",
        example: "spawn sleeper; enable two_percent nowait; transition",
        run: transition,
        is_table: true,
        ..Command::BASIC
    },
    Command {
        name: "wait",
        about: "waits until no transition is running, at most ten seconds",
        example: "enable two_percent nowait; wait",
        run: wait,
        ..Command::BASIC
    },
    Command {
        name: "reverse",
        about: "turns the running transition round: who has switched goes back",
        example: "spawn sleeper; enable two_percent nowait; reverse",
        run: reverse,
        ..Command::BASIC
    },
    Command {
        name: "force",
        about: "ends the running transition whatever threads are doing; this has a price",
        more: "A thread that still is in an old function may go on there and call a new one: what the patch changes together is seen apart. And since where threads are is unknown, the patch's module can never be unloaded.",
        example: "spawn sleeper; enable four_percent nowait; force",
        stays: true,
        run: force,
        ..Command::BASIC
    },
];

/// How long a command waits for a transition.
const PATIENCE: Duration = Duration::from_millis(500);

/// The same for one that no thread blocks, however many threads there are.
const TO_THE_END: Duration = Duration::from_secs(10);

/// Waits a moment for the transition of a patch to end, and says what has come of it.
pub fn settle(out: &mut Out, name: &str, nowait: bool) -> Outcome {
    let patience = if nowait { Duration::ZERO } else { PATIENCE };
    let has_ended = input::wait(patience, || livepatch::running().is_none())?;
    if !has_ended {
        let all = livepatch::progress();
        let left = all.iter().filter(|one| !one.switched).count();
        writeln!(
            out,
            "patch `{name}`: {left} of {} threads have still to switch; `transition` shows who, and why",
            all.len()
        )?;
        return Ok(());
    }
    // Until the thread that has ended it is through.
    livepatch::wait();
    match livepatch::find(name) {
        Some((patch, _)) => {
            let replaces = super::modules::replaces(&patch.module);
            writeln!(out, "patch `{name}` is enabled; it {replaces}")?;
        }
        None => writeln!(out, "patch `{name}` is disabled")?,
    }
    Ok(())
}

/// What the running transition does, for the reader.
fn described(running: &Running) -> alloc::string::String {
    let what = if running.enables() {
        "enabled"
    } else {
        "disabled"
    };
    let reversed = if running.reversed {
        ", turned round"
    } else {
        ""
    };
    format!("patch `{}` is being {what}{reversed}", running.patch)
}

/// How many rows of threads that have switched are shown.
const SHOWN: usize = 20;

fn transition(session: &mut Session, _: &[&str]) -> Outcome {
    let out = &mut session.out;
    let Some(running) = livepatch::running() else {
        writeln!(out, "no transition is running")?;
        return Ok(());
    };
    let all = livepatch::progress();
    let (over, left): (Vec<Progress>, Vec<Progress>) =
        all.into_iter().partition(|one| one.switched);
    writeln!(
        out,
        "{}: {} of {} threads have switched",
        described(&running),
        over.len(),
        over.len() + left.len()
    )?;
    let title = format!(
        "  {:<20} {:>3} {:<14} {}",
        "thread", "CPU", "has switched", "if not, why"
    );
    writeln!(out, "{}", Painted(Tone::Heading, title))?;
    for one in &left {
        let why = match &one.blocked {
            Some(held) => held.to_string(),
            None => "nothing keeps it: it will, when it is looked at".into(),
        };
        row(out, one, Painted(Tone::Old, format!("{:<14}", "no")), &why)?;
    }
    for one in over.iter().take(SHOWN) {
        row(out, one, Painted(Tone::New, format!("{:<14}", "yes")), "")?;
    }
    if over.len() > SHOWN {
        writeln!(out, "  and {} more that have", over.len() - SHOWN)?;
    }
    Ok(())
}

fn row(out: &mut Out, one: &Progress, over: impl core::fmt::Display, why: &str) -> Outcome {
    let thread = format!("{}-{}", one.thread.name(), one.thread.id());
    let cpu = one.thread.cpu();
    let line = format!("  {thread:<20} {cpu:>3} {over} {why}");
    writeln!(out, "{}", line.trim_end())?;
    Ok(())
}

fn wait(session: &mut Session, _: &[&str]) -> Outcome {
    if !input::wait(TO_THE_END, || livepatch::running().is_none())? {
        return Err(CommandError::refused(
            "the transition goes on; `transition` shows which threads block it",
        ));
    }
    livepatch::wait();
    writeln!(session.out, "no transition is running")?;
    Ok(())
}

fn reverse(session: &mut Session, _: &[&str]) -> Outcome {
    let name = livepatch::running().map(|running| running.patch);
    livepatch::reverse().map_err(CommandError::refused)?;
    settle(&mut session.out, &name.unwrap_or_default(), false)
}

fn force(session: &mut Session, _: &[&str]) -> Outcome {
    let out = &mut session.out;
    let Some(running) = livepatch::running() else {
        return Err(CommandError::refused("no transition is running"));
    };
    let left = livepatch::progress();
    let left = left.iter().filter(|one| !one.switched).count();
    let name = running.patch;
    livepatch::force().map_err(CommandError::refused)?;
    let _ = input::wait(TO_THE_END, || livepatch::running().is_none())?;
    writeln!(
        out,
        "{left} threads were switched wherever they were. The price: each of them may go on in an old"
    )?;
    writeln!(
        out,
        "function and call a new one, and module `{name}` can't be unloaded any more"
    )?;
    Ok(())
}
