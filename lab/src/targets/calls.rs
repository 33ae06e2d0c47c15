//! How the monitor's `call` calls the functions.

use super::live;
use crate::targets;
use shell::{Callable, NUMBER, answer, plain};

/// The functions that can be called. No number in the bounds makes one fail.
pub static CALLABLES: &[Callable] = &[
    Callable {
        name: "leaf",
        family: "lab::targets",
        about: "three times a number, and one; calls nothing",
        arguments: &[NUMBER],
        run: |n| answer!("{}", targets::leaf(n[0])),
    },
    Callable {
        name: "sum12",
        family: "lab::targets",
        about: "a weighted sum; four arguments are on the stack",
        arguments: &[NUMBER; 12],
        run: |n| {
            let sum = targets::sum12(
                n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11],
            );
            answer!("{sum}")
        },
    },
    Callable {
        name: "divide",
        family: "lab::targets",
        about: "quotient and remainder, in two registers",
        arguments: &[("NUMBER", 0, u64::MAX), ("BY", 1, u64::MAX)],
        run: |n| {
            let pair = targets::divide(n[0], n[1]);
            answer!("{}, remainder {}", pair.first, pair.second)
        },
    },
    Callable {
        name: "find",
        family: "lab::targets",
        about: "the number below a limit that has this square, or less than 0",
        arguments: &[("SQUARE", 0, u64::MAX), ("LIMIT", 0, 1_000_000)],
        run: |n| answer!("{}", targets::find(n[0], n[1])),
    },
    Callable {
        name: "is_even",
        family: "lab::targets",
        about: "whether a number is even",
        arguments: &[("NUMBER", 0, u32::MAX as u64)],
        run: |n| answer!("{}", targets::is_even(n[0] as u32)),
    },
    Callable {
        name: "report",
        family: "lab::targets",
        about: "a number, its double and its triple, through a hidden pointer",
        arguments: &[NUMBER],
        run: |n| answer!("{:?}", targets::report(n[0]).values),
    },
    Callable {
        name: "recursive",
        family: "lab::targets",
        about: "calls itself so many times",
        arguments: &[("DEPTH", 0, 30)],
        run: |n| answer!("{}", targets::recursive(n[0])),
    },
    Callable {
        name: "outer",
        family: "lab::targets",
        about: "calls `inner`",
        arguments: &[NUMBER],
        run: |n| answer!("{}", targets::outer(n[0])),
    },
    Callable {
        name: "c_leaf",
        family: "",
        about: "three times a number, and one, in C",
        arguments: &[NUMBER],
        run: |n| answer!("{}", targets::c_leaf(n[0] as i64)),
    },
    Callable {
        name: "c_counts",
        family: "",
        about: "a number, and how often this was called, in C",
        arguments: &[NUMBER],
        run: |n| answer!("{}", targets::c_counts(n[0] as i64)),
    },
    Callable {
        name: "c_tail",
        family: "",
        about: "`c_leaf` of the next number, by a tail call",
        arguments: &[NUMBER],
        run: |n| answer!("{}", targets::c_tail(n[0] as i64)),
    },
    Callable {
        name: "c_into_rust",
        family: "",
        about: "twice a number, and one, from C by way of Rust",
        arguments: &[NUMBER],
        run: |n| answer!("{}", targets::c_into_rust(n[0] as i64)),
    },
    Callable {
        name: "one",
        family: "lab::targets::live",
        about: "one more than a number",
        arguments: &[NUMBER],
        run: |n| answer!("{}", live::one(n[0])),
    },
    Callable {
        name: "two",
        family: "lab::targets::live",
        about: "two more than a number",
        arguments: &[NUMBER],
        run: |n| answer!("{}", live::two(n[0])),
    },
    Callable {
        name: "three",
        family: "lab::targets::live",
        about: "three more than a number",
        arguments: &[NUMBER],
        run: |n| answer!("{}", live::three(n[0])),
    },
    plain!("lab::targets", targets::inner as "inner", [0: NUMBER], "what `outer` calls"),
    plain!("lab::targets", targets::twin as "twin", [0: NUMBER], "like `other_twin`"),
    plain!("lab::targets", targets::other_twin as "other_twin", [0: NUMBER], "like `twin`"),
    plain!("lab::targets", targets::nothing as "nothing", [], "does nothing"),
    plain!("", targets::rust_twice as "rust_twice", [0: NUMBER], "twice a number, exported"),
    plain!("", targets::c_twins as "c_twins", [0: NUMBER], "calls two functions of one name, in C"),
    Callable {
        name: "faulty",
        family: "lab::targets::live",
        about: "its replacement panics at 1, traps at 2, and overruns its stack at 3",
        arguments: &[("KIND", 0, 3)],
        run: |n| answer!("{}", live::faulty(n[0])),
    },
];
