//! The laboratory: judges every variant by the same conformance cases.
//!
//! A *case* (`cases`) is a question about a patched call, such as whether the
//! eleventh argument arrives. A *variant* ([`livepatch::variants`]) is a way to
//! hand the call over, and declares which cases it does not pass, and why. The
//! *matrix* asks each case of each variant; a *cell* that differs from what was
//! declared fails the run, the better ones too.
//!
//! Calls that are judged are made in threads of their own. A fault stops such a
//! thread, wherever it happens, and is the cell's result.
//!
//! - `matrix`: all cells, the table, the report;
//! - `cases`: the table of cases, and by theme what they do;
//! - `fixtures`: what cases have in common: modules, transitions, trials;
//! - [`explore`]: the step explorer, which disturbs a call at each instruction;
//! - [`guide`]: the guided step, which shows a call instruction by instruction;
//! - `watched`: calls by the ABI sanitiser;
//! - `gate`: places where threads wait;
//! - `functions`: the functions that cases replace; `targets`: those that tests, tracers and
//!   the guided step use;
//! - `bench`: the cost meter; [`soak`]: threads that call patched functions in every way, and judge
//!   each answer;
//! - `single_step`: code in which every instruction traps; `instruments`: what calls are
//!   measured, watched and provoked with.
#![no_std]
#![feature(patchable_function_entry)]

extern crate alloc;
#[macro_use]
extern crate machine;

pub mod bench;
pub mod calls;
mod cases;
pub mod explore;
mod fixtures;
pub mod functions;
mod gate;
pub mod guide;
pub mod instruments;
mod matrix;
pub mod random;
pub mod single_step;
pub mod soak;
pub mod targets;
mod watched;

use bootargs::{BootArgs, Mode};
use init::Image;
use report::Verdict;
use shell::Extension;

/// What the shell offers of the laboratory.
pub static EXTENSION: Extension = Extension {
    families: &[&guide::command::FAMILY, &bench::command::FAMILY],
    callables: &[calls::CALLABLES, targets::calls::CALLABLES, soak::CALLABLES],
    roles: soak::ROLES,
};

/// The image with the laboratory.
pub static IMAGE: Image = Image {
    which: bootargs::Image::Lab,
    extensions: &[&EXTENSION],
    run,
};

/// Does what the boot arguments say, if not more than this image can.
pub fn run(arguments: &BootArgs<'_>) -> Verdict {
    match (arguments.image(), arguments.mode) {
        (bootargs::Image::Lab, Mode::Matrix) => matrix::run(arguments.variant, arguments.case),
        (bootargs::Image::Lab, Mode::Explore) => explore::run(arguments.variant, arguments.short),
        (bootargs::Image::Lab, Mode::Bench) => bench::run(arguments.variant),
        (bootargs::Image::Lab, Mode::Throughput) => bench::throughput::run(arguments.variant),
        (bootargs::Image::Lab, Mode::Step) => guide::run(arguments.function, arguments.way.into()),
        _ => init::run(arguments),
    }
}
