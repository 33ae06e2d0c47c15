//! Calls of functions that patches replace, with arguments that can do no harm.

use super::{Command, Kind};
use crate as monitor;
use crate::{
    error::{CommandError, Outcome},
    input,
    interpret::Session,
    names, workload,
};
use alloc::{format, string::String, sync::Arc};
use arrayvec::{ArrayString, ArrayVec};
use core::{fmt::Write, hint::black_box, time::Duration};
use demo::bank;
use machine::sync::IrqLock;

/// The family.
pub static COMMANDS: &[Command] = &[Command {
    name: "call",
    arguments: "[FUNCTION [NUMBER...]]",
    count: (0, 1 + ARGUMENTS),
    about: "calls a function, in a thread of its own; without one, lists what can be",
    more: "What it returns shows whether it is replaced. A replacement that faults takes its patch back, and nothing else.",
    example: "call balance 3",
    kinds: &[Kind::Callable],
    run: call,
    ..Command::BASIC
}];

/// Most arguments of a function.
const ARGUMENTS: usize = 12;

/// What a function returned, as it is shown.
pub type Answer = ArrayString<64>;

/// A function that can be called.
#[derive(Debug)]
pub struct Callable {
    /// What it is called here: the end of its path.
    pub name: &'static str,
    /// What comes before that in its path; nothing for a function in C.
    pub family: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What its arguments are called, and from where to where they go. No number in
    /// there makes the function fail.
    pub arguments: &'static [(&'static str, u64, u64)],
    /// Calls it.
    pub run: fn(&[u64]) -> Answer,
}

impl Callable {
    /// Whether this is its path, or the end of it.
    pub fn is_named(&self, name: &str) -> bool {
        names::is_named(&format!("{}::{}", self.family, self.name), name)
    }
}

/// An answer, as `write!` puts it.
#[macro_export]
macro_rules! answer {
    ($($text:tt)+) => {{
        use core::fmt::Write as _;
        let mut answer = $crate::Answer::new();
        // The longest are two numbers.
        let _ = write!(answer, $($text)+);
        answer
    }};
}

/// A row of a function that takes numbers, and returns one or nothing.
#[macro_export]
macro_rules! plain {
    ($family:literal, $function:path as $name:literal, [$($n:literal: $argument:expr),*], $about:literal) => {
        $crate::Callable {
            name: $name,
            family: $family,
            about: $about,
            arguments: &[$($argument),*],
            run: |_n| $crate::answer!("{:?}", $function($(_n[$n] as _),*)),
        }
    };
}

/// A number as most functions take it: no arithmetic of theirs overflows on it.
pub const NUMBER: (&str, u64, u64) = ("NUMBER", 0, 1_000_000);

/// The functions of the demonstration. One that a patch is to show its effect on is a row
/// here: the end of its path, what comes before that, and from where to where its arguments
/// may go.
static OWN: &[Callable] = &[
    Callable {
        name: "balance",
        family: "demo::bank",
        about: "what an account holds after so many years",
        arguments: &[("YEARS", 0, 20)],
        run: |n| answer!("{}", bank::balance(0, n[0])),
    },
    plain!("", bank::bank_paid_in as "bank_paid_in",
        [0: ("ACCOUNT", 0, 0), 1: ("PERCENT", 0, 100)], "what was paid in, exported"),
];

/// All functions that can be called.
pub fn callables() -> impl Iterator<Item = &'static Callable> {
    let others = monitor::extensions().iter().flat_map(|one| one.callables);
    [OWN].into_iter().chain(others.copied()).flatten()
}

/// How long a function may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the thread that calls and the one that waits share.
struct Call {
    function: &'static Callable,
    arguments: ArrayVec<u64, ARGUMENTS>,
    answer: IrqLock<Option<Answer>>,
}

fn usage(callable: &Callable) -> String {
    let mut text = String::from(callable.name);
    let groups = callable.arguments.chunk_by(|one, other| one == other);
    for group in groups {
        let (name, least, most) = group[0];
        let _ = match (group.len(), most) {
            (1, u64::MAX) => write!(text, " {name} (from {least})"),
            (1, _) => write!(text, " {name} ({least} to {most})"),
            (count, _) => write!(text, " {count} x {name} ({least} to {most})"),
        };
    }
    text
}

fn call(session: &mut Session, arguments: &[&str]) -> Outcome {
    let out = &mut session.out;
    let Some((name, numbers)) = arguments.split_first() else {
        for callable in callables() {
            writeln!(out, "  {:<38} {}", usage(callable), callable.about)?;
        }
        return Ok(());
    };
    let Some(function) = callables().find(|one| one.is_named(name)) else {
        let short = name.rsplit("::").next().unwrap_or(name);
        let near = names::nearest(short, callables().map(|one| one.name));
        let what = "a function that can be called (`call` lists them)";
        return Err(CommandError::expected_near(what, name, near));
    };
    if numbers.len() != function.arguments.len() {
        return Err(CommandError::refused(format!(
            "expected `call {}`, found {} numbers",
            usage(function),
            numbers.len()
        )));
    }
    let mut values = ArrayVec::new();
    for (text, &(what, least, most)) in numbers.iter().zip(function.arguments) {
        values.push(
            names::number(text, least, most).map_err(|error| match error {
                CommandError::Expected { found, .. } if most == u64::MAX => {
                    CommandError::expected(format!("{what}, a whole number from {least}"), &found)
                }
                CommandError::Expected { found, .. } => CommandError::expected(
                    format!("{what}, a whole number from {least} to {most}"),
                    &found,
                ),
                other => other,
            })?,
        );
    }
    let call = Arc::new(Call {
        function,
        arguments: values,
        answer: IrqLock::named("shell::Call", None),
    });
    let its = call.clone();
    let handle = workload::call("call", move || {
        let answer = (its.function.run)(black_box(&its.arguments));
        *its.answer.lock() = Some(answer);
    })?;
    let is_there = || handle.is_done();
    let in_time = match input::wait(PATIENCE, is_there) {
        Ok(in_time) => in_time,
        Err(error) => {
            handle.leave();
            return Err(error);
        }
    };
    if !in_time {
        handle.leave();
        return Err(CommandError::refused(format!(
            "`{name}` has not returned; `threads` shows its thread"
        )));
    }
    let stopped = handle.join();
    if let Err(stopped) = stopped {
        return Err(CommandError::refused(format!(
            "`{name}` has not returned: {stopped}"
        )));
    }
    let answer = *call.answer.lock();
    let answer = answer.unwrap_or_default();
    writeln!(out, "{}({}) = {answer}", function.name, numbers.join(", "))?;
    Ok(())
}
