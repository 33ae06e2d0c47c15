//! The machine, as everything above it needs it: one CPU in real mode, its memory, its
//! clock, its console, and the kernel's own code as words and as names.
#![no_std]
#![feature(allocator_api)]

extern crate alloc;

pub mod arch;
#[macro_use]
pub mod console;
pub mod debugger;
pub mod fault;
pub mod mm;
pub mod platform;
pub mod stack;
pub mod symbols;
pub mod sync;
pub mod text;
pub mod time;
