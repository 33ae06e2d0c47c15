//! The functions of `in_c`, compiled at -O1.
#![no_std]

#[path = "../../in_c/src/functions.rs"]
#[macro_use]
mod functions;

describe!("in_c1");
