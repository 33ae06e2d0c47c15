//! Tracing of function calls, by patching the compilers' nops.
//!
//! # Why it is as it is
//! A function's first instructions are the one place where its arguments are still where the
//! caller put them, and where nothing of its own has happened yet. So that is where a call of
//! it is caught. The compiler leaves room there for nothing (two nops, or what
//! `-mprofile-kernel` makes), and at rest it costs two instructions.
//!
//! The room is two words, and only the second ever changes: from a nop to a `bl` and back, by
//! one aligned store of four bytes. A CPU that runs through the site while it is written
//! executes the old word or the new one, and both are right. Two words could be met half
//! changed, by a thread that was preempted between them or by another CPU; so the first is
//! made `mflr r0` once, before anything can branch to it, and stays. That is what the `bl`
//! needs: it overwrites LR, and r0 keeps the way back to the caller (ELFv2 2.2.1.1: r0 is
//! free at a function's entry).
//!
//! The `bl` reaches 32 MiB, so what it leads to lies in code memory near the kernel. Each
//! *set* of ops has a trampoline of its own there, in which the ops are written out one after
//! the other. Linux has one trampoline that walks a list; here a call pays for the ops on its
//! own site alone, and the trampoline holds no loop that a reader would have to unroll.
//!
//! When a set is no longer used, its trampoline may still be on the stack of a thread that was
//! preempted in it, or that sleeps in a callback. Its memory is *retired*: given back when no
//! thread's stack, register or kept return address leads there.
//!
//! # What there is
//! Every function that may be traced begins, at its local entry, with a *site*:
//! `mflr r0; nop`. Attaching an [`Ops`] turns the nop into a `bl` to a
//! *trampoline*, which saves what the function's own code rests on, calls the
//! ops's callback, and goes on into the function — or to another one, when the
//! callback has changed where. Detaching the last ops makes it a nop again.
//!
//! A site that several ops are attached to has a trampoline that calls each of
//! them, made for that set of ops; all sites with the same set share it. So a
//! call pays for the ops on its own site and for no other.
//!
//! The mechanism is that of Linux on ppc64le (`arch/powerpc/kernel/trace/`,
//! `-mprofile-kernel` and `-fpatchable-function-entry`); its words are used.
#![no_std]

extern crate alloc;

mod batch;
mod error;
mod filter;
pub mod notrace;
mod ops;
mod registry;
mod retired;
mod sets;
mod sites;
mod trampoline;

pub use batch::Batch;
pub use error::FtraceError;
pub use filter::Filter;
pub use ops::{Callback, Flags, HandOff, Ops};
pub use registry::{
    add_sites, attached, is_busy, is_enabled, register, register_at, register_at_all, remove_sites,
    set_enabled, trampoline_at, trampoline_of, unregister,
};
pub use retired::{count as retired, reclaim, retire, wait as wait_for_retired};
pub use sites::{
    Counts, Kind, Site, SiteError, Table, at_call, at_entry, bring_to_rest, counts,
    find as find_site, from_record, refused, sites, start,
};
pub use trampoline::in_trampoline;
