//! Tests that run inside the kernel, what they need beside it, and faults on request.
#![no_std]
#![feature(patchable_function_entry)]

extern crate alloc;
#[macro_use]
extern crate machine;

pub mod crash;
pub mod exercises;
#[macro_use]
pub mod tests;

use bootargs::{BootArgs, Mode};
use init::Image;
use practice::{cards, tickets};
use report::Verdict;
use shell::Extension;

/// How often the soak goes round by default.
const SOAK: u32 = 10_000;

/// What the shell offers of the tests.
static EXTENSION: Extension = Extension {
    families: &[&tests::commands::FAMILY],
    callables: &[tickets::CALLABLES, cards::CALLABLES],
    roles: &[],
};

/// The image with everything.
pub static IMAGE: Image = Image {
    which: bootargs::Image::Test,
    extensions: &[&lab::EXTENSION, &EXTENSION],
    run,
};

fn run(arguments: &BootArgs<'_>) -> Verdict {
    if let Some(kind) = arguments.crash {
        return crash::provoke(kind);
    }
    let count = arguments.count.map(u32::from);
    match arguments.mode {
        Mode::Echo => echo(),
        Mode::List => tests::list(arguments.tests()),
        Mode::Soak => tests::soak(count.unwrap_or(SOAK)),
        Mode::Selftest => {
            tests::set_count(count.unwrap_or(0));
            tests::be_short(arguments.short);
            tests::run(arguments.tests())
        }
        _ => lab::run(arguments),
    }
}

/// Repeats what is typed on the console, until `quit`.
fn echo() -> Verdict {
    println!("repeating lines until `quit`");
    let mut line = [0; 120];
    loop {
        print!("> ");
        let line = machine::console::read_line(&mut line);
        let text = core::str::from_utf8(line).unwrap_or("");
        if text == "quit" {
            return Verdict::Passed;
        }
        println!("{text}");
    }
}
