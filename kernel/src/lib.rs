//! A kernel that patches itself while it runs, for QEMU's pseries machine.
//!
//! # Principles
//! - One file, one thought. What a reader must hold in the head to follow a
//!   patched call fits on a desk.
//! - Assembly lives in `arch`, and where a traced or patched call needs its own: in
//!   `ftrace`, `tracing` and `livepatch::variants`. (`crash` and `selftest` have an
//!   instruction here and there that is meant to fault.) Each entry is under a contract:
//!   on entry, on exit, clobbers, stack. It takes every offset from a Rust struct.
//! - Logic that needs no machine is a crate of its own under `crates/`, without
//!   `unsafe`, and is tested on the host.
//! - What the machine is like comes from the device tree.
//! - A run ends with a verdict, `EXIT: STATUS=n`, whatever happens. No verdict
//!   is a failure too.
//!
//! # What it is not
//! There is no user mode, no address translation and one CPU: all code runs in
//! real mode with the rights of a kernel. Threads are preempted anywhere;
//! interrupt handlers do not nest.
//!
//! # Who knows whom
//! `arch` knows only `crates/`. `sync` and `console` stand on `arch`; `platform`
//! reads the device tree; `mm` hands out memory; `fault` reports what should
//! not have happened; `interrupt` and `time` drive the clock, and `thread` shares the
//! CPU. `text` writes code; `ftrace` knows `text`; `backtrace` reads stacks through
//! whatever `ftrace` and `tracing` have put on them; `module` loads code; `livepatch`
//! knows all of these, and they know it only through hooks that it sets. All may call
//! the hooks of `debugger`, whose view knows them all. `single_step` runs code whose
//! every instruction traps. `bank`, `victims`, `exercises` and `laboratory::victims` are
//! functions for patches to replace. `selftest`, `laboratory`, `bench`, `monitor`, `crash` and
//! `job` know all; nobody knows them but `start`; `monitor`, which has commands for
//! `selftest`, `bench` and the laboratory's guided step; and `selftest`, which tests what
//! `job` checks by.
#![no_std]
#![feature(allocator_api, patchable_function_entry)]

extern crate alloc;

pub mod arch;
#[macro_use]
pub mod console;
pub mod backtrace;
pub mod bank;
pub mod bench;
pub mod crash;
pub mod debugger;
pub mod debugger_view;
pub mod exercises;
pub mod fault;
pub mod ftrace;
pub mod instruments;
pub mod interrupt;
pub mod isolation;
pub mod job;
pub mod laboratory;
pub mod livepatch;
pub mod mm;
pub mod module;
pub mod monitor;
pub mod platform;
mod random;
pub mod selftest;
mod single_step;
pub mod stack;
mod start;
pub mod symbols;
pub mod sync;
pub mod text;
pub mod thread;
pub mod time;
pub mod tracing;
pub mod victims;

pub use start::start;
