//! What readers edit while the kernel runs: exercises 12 and 13 (docs/exercises). A crate of
//! its own, since a crate is what is compiled again for an edit.
#![no_std]

// What is there today needs it as little as it needs the crate `machine`; an edit may.
extern crate alloc;

pub mod cards;
pub mod tickets;
