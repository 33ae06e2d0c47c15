//! How the monitor's `call` calls the laboratory's functions.

use super::functions as lab;
use shell::{Callable, NUMBER, plain};

/// The functions that can be called. No number in the bounds makes one fail.
pub static CALLABLES: &[Callable] = &[
    plain!("", lab::lab_leaf as "lab_leaf", [0: NUMBER], "of the laboratory, in C; exported"),
    plain!("", lab::lab_counted as "lab_counted", [0: NUMBER], "of the laboratory, in C"),
    plain!("", lab::lab_tail as "lab_tail", [0: NUMBER], "of the laboratory: a tail call of `lab_leaf`"),
    plain!("lab::functions", lab::counted as "counted", [0: NUMBER], "of the laboratory"),
    plain!("lab::functions", lab::calls_kernel as "calls_kernel", [0: NUMBER],
        "of the laboratory: calls a function of the kernel"),
    plain!("lab::functions", lab::calls_patched as "calls_patched", [0: NUMBER],
        "of the laboratory: calls functions that are replaced with it"),
    plain!("",
        lab::second as "lab_second", [0: NUMBER],
        "of the laboratory, exported; its path ends in `second`"),
    plain!("",
        lab::twice as "lab_twice", [0: NUMBER],
        "of the laboratory, exported; its path ends in `twice`"),
];
