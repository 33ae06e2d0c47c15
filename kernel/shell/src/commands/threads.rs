//! Threads: who there is, where they are, and more of them.

use super::{Command, Kind};
use crate::{
    error::{CommandError, Outcome},
    input,
    interpret::Session,
    names, workload,
};
use alloc::{format, vec::Vec};
use core::fmt::Write;
use machine::{
    console::{Painted, Tone},
    symbols::Place,
};
use thread::{
    Activity, State,
    backtrace::{self, Folded, Step, What},
};

/// The family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "threads",
        about: "lists the threads",
        more: "`CPU` is the one that a thread runs on, or ran on last. While a transition runs, \
            `side` says whether a thread has switched.",
        example: "spawn busy 2; threads",
        run: threads,
        is_table: true,
        ..Command::BASIC
    },
    Command {
        name: "bt",
        arguments: "THREAD",
        count: (1, 1),
        about: "shows who called whom in a thread",
        more: "A thread is its number, its name, or both, such as `main-0`. The stack of one that runs \
            on another CPU changes all the time, and is not read.",
        example: "spawn sleeper; bt sleeper",
        kinds: &[Kind::Thread],
        run: bt,
        is_table: true,
        ..Command::BASIC
    },
    Command {
        name: "spawn",
        arguments: "[ROLE [COUNT]]",
        count: (0, 2),
        about: "starts threads that call `bank::balance`; without a role, lists the roles",
        example: "spawn caller 3",
        kinds: &[Kind::Listed(roles)],
        run: spawn,
        ..Command::BASIC
    },
    Command {
        name: "kill",
        arguments: "THREAD|ROLE|all",
        count: (1, 1),
        about: "ends threads that were spawned here",
        example: "spawn caller; kill caller",
        kinds: &[Kind::Workload],
        run: kill,
        ..Command::BASIC
    },
];

fn threads(session: &mut Session, _: &[&str]) -> Outcome {
    let out = &mut session.out;
    let progress = livepatch::progress();
    let title = format!(
        "  {:>4}  {:<24} {:<8} {:>3} {:>9}  {}",
        "no", "name", "state", "CPU", "stack", "side"
    );
    writeln!(out, "{}", Painted(Tone::Heading, title.trim_end()))?;
    for thread in thread::all() {
        let state = match thread.state() {
            State::Ready => "ready",
            State::Running => "running",
            State::Asleep => "asleep",
            State::Ended => "ended",
            State::Stopped => "stopped",
        };
        let side = progress.iter().find(|one| one.thread.id() == thread.id());
        let side = match side.map(|one| one.switched) {
            None => Painted(Tone::Heading, "-"),
            Some(false) => Painted(Tone::Old, "has still to switch"),
            Some(true) => Painted(Tone::New, "has switched"),
        };
        let kib = thread.stack().bytes() >> 10;
        writeln!(
            out,
            "  {:>4}  {:<24} {state:<8} {:>3} {kib:>5} KiB  {side}",
            thread.id(),
            thread.name(),
            thread.cpu()
        )?;
    }
    Ok(())
}

/// Longest backtrace.
const STEPS: usize = 64;

fn bt(session: &mut Session, arguments: &[&str]) -> Outcome {
    let out = &mut session.out;
    let thread = names::one_thread(arguments[0])?;
    let mut steps: Vec<Folded> = Vec::with_capacity(STEPS);
    let is_me = thread::with_current(thread::Thread::id) == Some(thread.id());
    if is_me {
        let nothing = Step {
            code: 0,
            what: What::Call,
        };
        let mut own = [nothing; STEPS];
        let count = backtrace::here(&mut own);
        steps.extend(backtrace::folded(own[..count].iter().copied()));
    } else {
        backtrace::steps_of(&thread, |found| {
            steps.extend(backtrace::folded(found).take(STEPS));
        });
    }
    for folded in &steps {
        let step = folded.step;
        let what = match step.what {
            What::Call => "",
            What::PerhapsStale => "  (perhaps left over)",
            What::Traced => "  (traced)",
            What::Hooked => "  (return hooked)",
            What::Lost => "  (where it returns to is lost)",
            What::Helped => "  (replaced; through the hand-off's helper)",
            What::Interrupted(_) => "  (interrupted here)",
        };
        writeln!(out, "  {:#10x}  {}{what}", step.code, Place(step.place()))?;
        if let Some(rest) = folded.rest() {
            writeln!(out, "  {rest}")?;
        }
    }
    if steps.is_empty() {
        match thread.activity() {
            Activity::Running => writeln!(out, "it runs on CPU {}", thread.cpu())?,
            Activity::Waiting(_) | Activity::Preempted(_) => writeln!(out, "it has not begun")?,
        }
    }
    Ok(())
}

fn roles() -> Vec<&'static str> {
    workload::roles().map(|role| role.name).collect()
}

fn spawn(session: &mut Session, arguments: &[&str]) -> Outcome {
    let out = &mut session.out;
    let Some(name) = arguments.first() else {
        for role in workload::roles() {
            writeln!(out, "  {:<8} {}", role.name, role.about)?;
        }
        return Ok(());
    };
    let Some(role) = workload::roles().find(|role| role.name == *name) else {
        let near = names::nearest(name, roles().into_iter());
        return Err(CommandError::expected_near(
            "a role (`spawn` lists them)",
            name,
            near,
        ));
    };
    let most = workload::MOST as u64;
    let count = arguments
        .get(1)
        .map_or(Ok(1), |text| names::number(text, 1, most))?;
    for _ in 0..count {
        input::check()?;
        let id = workload::start(role)?;
        writeln!(out, "{}-{id} {}", role.name, role.about)?;
    }
    Ok(())
}

fn kill(session: &mut Session, arguments: &[&str]) -> Outcome {
    let name = arguments[0];
    let members = workload::members();
    let is_meant = |thread: &thread::Thread| {
        name == "all"
            || name == thread.name()
            || name.parse() == Ok(thread.id())
            || name == format!("{}-{}", thread.name(), thread.id())
    };
    let meant = members.iter().filter(|thread| is_meant(thread));
    let ids: Vec<u32> = meant.map(|thread| thread.id()).collect();
    let near = names::nearest(name, members.iter().map(|thread| thread.name()));
    drop(members);
    if ids.is_empty() && name != "all" {
        let what = "a thread that was spawned here, its role, or `all`";
        return Err(CommandError::expected_near(what, name, near));
    }
    let ended = workload::end(&ids);
    if ended < ids.len() {
        return Err(CommandError::refused(format!(
            "{ended} of {} threads have ended; the others are asked to, and do not answer",
            ids.len()
        )));
    }
    let threads = if ended == 1 {
        "thread has"
    } else {
        "threads have"
    };
    writeln!(session.out, "{ended} {threads} ended")?;
    Ok(())
}
