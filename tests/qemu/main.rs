//! The tests that boot the kernel.
//!
//! Every trial is one boot, or a few, in a QEMU of its own, run by the same
//! code as `cargo run`. The kernel is built once, before the first trial that
//! needs it. `cargo test -p qemu-tests -- FILTER` runs those that have FILTER in their
//! name; `--list` names them.

mod bench;
mod boots;
mod browser;
mod busy;
mod copies;
mod corpus;
mod demo;
mod dialogues;
mod disassembly;
mod exercises;
mod explore;
mod gdb;
mod golden;
mod harness;
mod initrd;
mod live;
mod livepatch;
mod matrix;
mod readme;
mod report;
mod selftests;
mod shell;
mod soak;
mod step;
mod toggling;
mod walks;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each has a QEMU that keeps a processor busy; SLOF needs seconds of it.
    arguments.test_threads.get_or_insert(2);
    let conclusion = libtest_mimic::run(&arguments, trials());
    harness::print_slowest();
    conclusion.exit_code()
}

fn trials() -> Vec<Trial> {
    // The long ones first, so that the last thread does not run alone for long. But
    // those that use the copy of the tree should not meet: one would only wait.
    let groups = [
        walks::first(),
        soak::trials(),
        corpus::trials(),
        toggling::trials(),
        shell::trials(),
        selftests::trials(),
        exercises::trials(),
        boots::trials(),
        bench::trials(),
        corpus::more(),
        matrix::trials(),
        disassembly::trials(),
        report::trials(),
        walks::last(),
        explore::trials(),
        demo::trials(),
        step::trials(),
        livepatch::trials(),
        live::trials(),
        corpus::last(),
        copies::trials(),
        gdb::trials(),
        golden::trials(),
        dialogues::trials(),
        initrd::trials(),
        readme::trials(),
        // Last, when nothing is left that it would slow down.
        busy::trials(),
    ];
    groups.into_iter().flatten().collect()
}
