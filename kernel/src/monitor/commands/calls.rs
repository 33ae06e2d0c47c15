//! Calls of functions that patches replace, with arguments that can do no harm.

use super::{Command, Kind};
use crate::{
    bank,
    laboratory::victims as lab,
    monitor::{
        crew, input,
        interpret::Session,
        names,
        trouble::{Outcome, Trouble},
    },
    sync::IrqLock,
    victims::{self, live},
};
use alloc::{format, string::String, sync::Arc};
use arrayvec::{ArrayString, ArrayVec};
use core::{fmt::Write, hint::black_box, time::Duration};

/// The family.
pub static COMMANDS: &[Command] = &[Command {
    name: "call",
    arguments: "[FUNCTION [NUMBER...]]",
    count: (0, 1 + ARGUMENTS),
    about: "calls a function, in a thread of its own; without one, lists what can be",
    more: "What it returns shows whether it is replaced. A replacement that faults takes its patch back, and nothing else.",
    example: "call sum12 1 2 3 4 5 6 7 8 9 10 11 12",
    kinds: &[Kind::Callable],
    run: call,
    ..Command::BASIC
}];

/// Most arguments of a function.
const ARGUMENTS: usize = 12;

/// What a function returned, as it is shown.
type Answer = ArrayString<64>;

/// A function that can be called.
#[derive(Debug)]
pub struct Callable {
    /// What it is called here: the end of its path.
    pub name: &'static str,
    /// What comes before that in its path; nothing for a function in C.
    family: &'static str,
    about: &'static str,
    /// What its arguments are called, and from where to where they go. No number in
    /// there makes the function fail.
    arguments: &'static [(&'static str, u64, u64)],
    run: fn(&[u64]) -> Answer,
}

impl Callable {
    /// Whether this is its path, or the end of it.
    pub fn is_named(&self, name: &str) -> bool {
        names::is_named(&format!("{}::{}", self.family, self.name), name)
    }
}

macro_rules! answer {
    ($($text:tt)+) => {{
        let mut answer = Answer::new();
        // The longest are two numbers.
        let _ = write!(answer, $($text)+);
        answer
    }};
}

/// Numbers that no arithmetic of the functions overflows on.
const SMALL: (u64, u64) = (0, 1_000_000);

/// A row of a function that takes numbers, and returns one or nothing.
macro_rules! plain {
    ($family:literal, $function:path as $name:literal, [$($n:literal: $argument:expr),*], $about:literal) => {
        Callable {
            name: $name,
            family: $family,
            about: $about,
            arguments: &[$($argument),*],
            run: |_n| answer!("{:?}", $function($(_n[$n] as _),*)),
        }
    };
}

/// A number as most functions take it.
const NUMBER: (&str, u64, u64) = ("NUMBER", SMALL.0, SMALL.1);

/// The functions. One that a patch is to show its effect on is a row here: the end of its
/// path, what comes before that, and from where to where its arguments may go.
pub static CALLABLE: &[Callable] = &[
    Callable {
        name: "balance",
        family: "kernel::bank",
        about: "what an account holds after so many years",
        arguments: &[("YEARS", 0, 20)],
        run: |n| answer!("{}", bank::balance(0, n[0])),
    },
    Callable {
        name: "leaf",
        family: "kernel::victims",
        about: "three times a number, and one; calls nothing",
        arguments: &[("NUMBER", SMALL.0, SMALL.1)],
        run: |n| answer!("{}", victims::leaf(n[0])),
    },
    Callable {
        name: "sum12",
        family: "kernel::victims",
        about: "a weighted sum; four arguments are on the stack",
        arguments: &[("NUMBER", SMALL.0, SMALL.1); 12],
        run: |n| {
            let sum = victims::sum12(
                n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11],
            );
            answer!("{sum}")
        },
    },
    Callable {
        name: "divide",
        family: "kernel::victims",
        about: "quotient and remainder, in two registers",
        arguments: &[("NUMBER", 0, u64::MAX), ("BY", 1, u64::MAX)],
        run: |n| {
            let pair = victims::divide(n[0], n[1]);
            answer!("{}, remainder {}", pair.first, pair.second)
        },
    },
    Callable {
        name: "find",
        family: "kernel::victims",
        about: "the number below a limit that has this square, or less than 0",
        arguments: &[("SQUARE", 0, u64::MAX), ("LIMIT", SMALL.0, SMALL.1)],
        run: |n| answer!("{}", victims::find(n[0], n[1])),
    },
    Callable {
        name: "is_even",
        family: "kernel::victims",
        about: "whether a number is even",
        arguments: &[("NUMBER", 0, u32::MAX as u64)],
        run: |n| answer!("{}", victims::is_even(n[0] as u32)),
    },
    Callable {
        name: "report",
        family: "kernel::victims",
        about: "a number, its double and its triple, through a hidden pointer",
        arguments: &[("NUMBER", SMALL.0, SMALL.1)],
        run: |n| answer!("{:?}", victims::report(n[0]).values),
    },
    Callable {
        name: "recursive",
        family: "kernel::victims",
        about: "calls itself so many times",
        arguments: &[("DEPTH", 0, 30)],
        run: |n| answer!("{}", victims::recursive(n[0])),
    },
    Callable {
        name: "outer",
        family: "kernel::victims",
        about: "calls `inner`",
        arguments: &[("NUMBER", SMALL.0, SMALL.1)],
        run: |n| answer!("{}", victims::outer(n[0])),
    },
    Callable {
        name: "c_leaf",
        family: "",
        about: "three times a number, and one, in C",
        arguments: &[("NUMBER", SMALL.0, SMALL.1)],
        run: |n| answer!("{}", victims::c_leaf(n[0] as i64)),
    },
    Callable {
        name: "c_counts",
        family: "",
        about: "a number, and how often this was called, in C",
        arguments: &[("NUMBER", SMALL.0, SMALL.1)],
        run: |n| answer!("{}", victims::c_counts(n[0] as i64)),
    },
    Callable {
        name: "c_tail",
        family: "",
        about: "`c_leaf` of the next number, by a tail call",
        arguments: &[("NUMBER", SMALL.0, SMALL.1)],
        run: |n| answer!("{}", victims::c_tail(n[0] as i64)),
    },
    Callable {
        name: "c_into_rust",
        family: "",
        about: "twice a number, and one, from C by way of Rust",
        arguments: &[("NUMBER", SMALL.0, SMALL.1)],
        run: |n| answer!("{}", victims::c_into_rust(n[0] as i64)),
    },
    Callable {
        name: "one",
        family: "kernel::victims::live",
        about: "one more than a number",
        arguments: &[("NUMBER", SMALL.0, SMALL.1)],
        run: |n| answer!("{}", live::one(n[0])),
    },
    Callable {
        name: "two",
        family: "kernel::victims::live",
        about: "two more than a number",
        arguments: &[("NUMBER", SMALL.0, SMALL.1)],
        run: |n| answer!("{}", live::two(n[0])),
    },
    Callable {
        name: "three",
        family: "kernel::victims::live",
        about: "three more than a number",
        arguments: &[("NUMBER", SMALL.0, SMALL.1)],
        run: |n| answer!("{}", live::three(n[0])),
    },
    plain!("kernel::victims", victims::inner as "inner", [0: NUMBER], "what `outer` calls"),
    plain!("kernel::victims", victims::twin as "twin", [0: NUMBER], "like `other_twin`"),
    plain!("kernel::victims", victims::other_twin as "other_twin", [0: NUMBER], "like `twin`"),
    plain!("kernel::victims", victims::nothing as "nothing", [], "does nothing"),
    plain!("", victims::rust_twice as "rust_twice", [0: NUMBER], "twice a number, exported"),
    plain!("", victims::c_twins as "c_twins", [0: NUMBER], "calls two functions of one name, in C"),
    plain!("", bank::bank_paid_in as "bank_paid_in",
        [0: ("ACCOUNT", 0, 0), 1: ("PERCENT", 0, 100)], "what was paid in, exported"),
    plain!("", lab::lab_leaf as "lab_leaf", [0: NUMBER], "of the laboratory, in C; exported"),
    plain!("", lab::lab_counted as "lab_counted", [0: NUMBER], "of the laboratory, in C"),
    plain!("", lab::lab_tail as "lab_tail", [0: NUMBER], "of the laboratory: a tail call of `lab_leaf`"),
    plain!("kernel::laboratory::victims", lab::counted as "counted", [0: NUMBER], "of the laboratory"),
    plain!("kernel::laboratory::victims", lab::calls_kernel as "calls_kernel", [0: NUMBER],
        "of the laboratory: calls a function of the kernel"),
    plain!("kernel::laboratory::victims", lab::calls_patched as "calls_patched", [0: NUMBER],
        "of the laboratory: calls functions that are replaced with it"),
    plain!("",
        lab::second as "lab_second", [0: NUMBER],
        "of the laboratory, exported; its path ends in `second`"),
    plain!("",
        lab::twice as "lab_twice", [0: NUMBER],
        "of the laboratory, exported; its path ends in `twice`"),
    Callable {
        name: "faulty",
        family: "kernel::victims::live",
        about: "its replacement panics at 1, traps at 2, and overruns its stack at 3",
        arguments: &[("KIND", 0, 3)],
        run: |n| answer!("{}", live::faulty(n[0])),
    },
];

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
        for callable in CALLABLE {
            writeln!(out, "  {:<38} {}", usage(callable), callable.about)?;
        }
        return Ok(());
    };
    let Some(function) = CALLABLE.iter().find(|one| one.is_named(name)) else {
        let short = name.rsplit("::").next().unwrap_or(name);
        let near = names::nearest(short, CALLABLE.iter().map(|one| one.name));
        let what = "a function that can be called (`call` lists them)";
        return Err(Trouble::expected_near(what, name, near));
    };
    if numbers.len() != function.arguments.len() {
        return Err(Trouble::refused(format!(
            "expected `call {}`, found {} numbers",
            usage(function),
            numbers.len()
        )));
    }
    let mut values = ArrayVec::new();
    for (text, &(what, least, most)) in numbers.iter().zip(function.arguments) {
        values.push(
            names::number(text, least, most).map_err(|trouble| match trouble {
                Trouble::Expected { found, .. } if most == u64::MAX => {
                    Trouble::expected(format!("{what}, a whole number from {least}"), &found)
                }
                Trouble::Expected { found, .. } => Trouble::expected(
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
        answer: IrqLock::new(None),
    });
    let its = call.clone();
    let handle = crew::call("call", move || {
        let answer = (its.function.run)(black_box(&its.arguments));
        *its.answer.lock() = Some(answer);
    })?;
    let is_there = || handle.is_done();
    let in_time = match input::wait(PATIENCE, is_there) {
        Ok(in_time) => in_time,
        Err(trouble) => {
            handle.leave();
            return Err(trouble);
        }
    };
    if !in_time {
        handle.leave();
        return Err(Trouble::refused(format!(
            "`{name}` has not returned; `threads` shows its thread"
        )));
    }
    let stopped = handle.join();
    if let Err(stopped) = stopped {
        return Err(Trouble::refused(format!(
            "`{name}` has not returned: {stopped}"
        )));
    }
    let answer = *call.answer.lock();
    let answer = answer.unwrap_or_default();
    writeln!(out, "{}({}) = {answer}", function.name, numbers.join(", "))?;
    Ok(())
}
