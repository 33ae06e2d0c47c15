//! Models of what the kernel's CPUs do at once, each run through every order and every value that
//! the memory model allows ([loom]).
//!
//! QEMU's TCG on an x86 host runs the guest's CPUs with that host's memory order, which is
//! stronger than POWER's: an acquire or a release that is missing changes nothing there that a
//! test could see. So these are the witnesses for each ordering in the kernel. A model is a
//! small copy of one protocol, with the kernel's names, and what must hold is asserted in it; it names
//! the file that it copies, and the file names it. Beside each there are *controls*: the same
//! model with one ordering weaker or one step left out or moved. In each loom must find the failure, or
//! the model would show nothing.
//!
//! A thread of a model is a CPU. What a CPU does with interrupts off is a piece of its code
//! without a call of `Cpus::take_requests`; between such pieces it
//! calls that, as an interrupt would. A wait is one look: where it would have to go on, the
//! model leaves that run, and another run has the answer come in time. Where a wait could last
//! for ever the models ask at the end, when all CPUs have come to rest, whether one still waits.
//!
//! Loom may leave out orders in which a thread's first step is a load that another's store should
//! come before. The controls guard against that: what they find is in reach of the model.
//!
//! Memory that is freed or used again is an loom's `UnsafeCell`: two
//! accesses, one of them a write, which nothing orders, are a failure that loom finds, whatever
//! was read.
//!
//! [loom]: https://docs.rs/loom
#![forbid(unsafe_code)]

#[cfg(test)]
mod cpus;
#[cfg(test)]
mod idle;
#[cfg(test)]
mod pending;
#[cfg(test)]
mod retire;
#[cfg(test)]
mod ring;
#[cfg(test)]
mod sides;
#[cfg(test)]
mod switch;
#[cfg(test)]
mod wait;
