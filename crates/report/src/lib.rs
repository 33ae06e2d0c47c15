//! What the kernel tells its runner: the verdict line on the console and the
//! records on the report channel.
//!
//! QEMU's exit status says nothing about the guest on pseries: it is 0 after
//! every RTAS power-off. So the kernel's last line on the console is
//! `EXIT: STATUS=n`, and a run without that line has failed. (The line's form
//! is the one kvm-unit-tests prints on powerpc.) Beside it, a second virtual
//! terminal carries one JSON object a line for programs to read.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod record;
mod verdict;

pub use record::{Judgement, Outcome, Record, StepChange, WriteError};
pub use verdict::{Verdict, find_status};
