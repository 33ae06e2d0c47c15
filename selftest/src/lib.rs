//! Tests that run inside the kernel, what they need beside it, and faults on request.
#![no_std]
#![feature(patchable_function_entry)]

extern crate alloc;
#[macro_use]
extern crate machine;

pub mod crash;
pub mod exercises;
mod random;
#[macro_use]
pub mod tests;
