//! A patch with functions that are written in C (in_c.c): one of each kind. This one is
//! compiled to be small, and in_c0 to in_c3 at the other optimisation levels: the levels
//! stand in the workspace's Cargo.toml.
#![no_std]

#[macro_use]
mod functions;

describe!("in_c");
