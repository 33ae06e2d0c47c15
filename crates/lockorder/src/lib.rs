//! The order in which locks are taken, and whether what a kernel does keeps to it.
//!
//! Locks that are taken in two orders can wait for each other for ever, each held by a CPU or a
//! thread that waits for the other. If all are taken in one order, none can. [`ORDER`] is that
//! order; `docs/cpus.md` shows it. [`Pairs`] notes which lock was taken while which was held,
//! and finds the first that is out of order: no two CPUs have to meet for that.
//!
//! Locks that are alike, such as those of all wait queues, are one *class*. A class has a number:
//! those in [`ORDER`] have theirs from there. Others, in the laboratory and the tests, are known
//! by where they are made, and have none but the order in which they are first seen.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod order;
mod pairs;
#[cfg(test)]
mod tests;

pub use order::{NAMED, ORDER, Row, name_of, number_of};
pub use pairs::{CLASSES, OutOfOrder, Pairs};
