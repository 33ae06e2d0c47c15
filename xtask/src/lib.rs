//! The host's side of the kernel: everything that `make` is too weak for.
//!
//! - [`image`] tells the images of the kernel apart;
//!   [`kernel`] builds one and embeds its symbol table ([`symbols`]), unless what was
//!   [`built`] is still right; [`variants`] are those that a kernel knows.
//! - [`modules`] builds the patches in `patches/` and packs them into the initrd;
//!   [`proof`] shows that they keep their return convention.
//! - [`machine`] is the table of machine shapes, [`qemu`] the only place that
//!   knows QEMU's arguments.
//! - [`guest`] runs one QEMU within limits, reads its console, holds
//!   dialogues with it and makes sure that it dies; [`outcome`] says how the
//!   run ended.
//! - [`cli`] is the command line; [`run`], [`shell`], [`mod@bench`], [`matrix`],
//!   [`explore`], [`step`], [`exercise`], [`totals`], [`check`] (with [`words`]), [`disasm`], [`gdb`], [`book`](mod@book),
//!   [`map`] and [`new`] are its commands.
//! - [`report`](mod@report) makes a page of a run.
//! - [`records`] reads what guests report, and keeps what commands make of it;
//!   [`progress`] shows how far long runs have come.
//! - [`tool`] starts every other program.
//!
//! The tests that boot the kernel use this library as well, so they see what
//! `cargo run` sees.

pub mod bench;
pub mod book;
pub mod built;
pub mod check;
pub mod cli;
mod cores;
pub mod disasm;
pub mod exercise;
pub mod explore;
pub mod gdb;
pub mod guest;
pub mod image;
pub mod kernel;
pub mod live;
pub mod machine;
pub mod map;
pub mod matrix;
pub mod modules;
pub mod new;
pub mod outcome;
mod parallel;
mod pipes;
pub mod progress;
pub mod proof;
pub mod qemu;
pub mod records;
pub mod report;
pub mod run;
pub mod shell;
pub mod step;
pub mod symbols;
mod terminal;
pub mod tool;
pub mod totals;
pub mod variants;
pub mod words;
