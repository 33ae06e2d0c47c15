//! Tracers, and their controls under the names of Linux's tracefs.
//!
//! [`write()`] and [`read()`] take a control's name
//! as one would a file's: `current_tracer`, `set_ftrace_filter`, `tracing_on`,
//! `trace`, `function_profile_enabled` and so on. What is printed has Linux's
//! columns.
#![no_std]
#![feature(patchable_function_entry)]

extern crate alloc;

pub mod controls;
mod format;
pub mod function;
mod gone;
pub mod graph;
pub mod hits;
mod record;

use thread::backtrace;

pub use controls::{ControlError, read, write};
pub use record::{Counts, counts, dropped, written};

/// Lets stack walks know where hooked calls return.
pub fn start() {
    backtrace::set_return_hook(graph::hook());
}

/// A module goes, and no code of it runs any more: what was recorded of it keeps its name,
/// and what is loaded in its place does not inherit its counts.
pub fn module_gone(name: &str, range: memmap::Range) {
    hits::forget(&range);
    gone::note(name, range);
}

/// Whether ops of this name are a tracer of these.
#[must_use]
pub fn is_tracer(name: &str) -> bool {
    [&function::OPS, &graph::OPS, &hits::OPS]
        .iter()
        .any(|ops| ops.name == name)
}
