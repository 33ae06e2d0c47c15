//! Tracing of function calls, by patching the compilers' nops.
//!
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

mod error;
mod filter;
pub mod notrace;
mod ops;
mod registry;
mod retired;
mod sets;
mod sites;
mod trampoline;

pub use error::FtraceError;
pub use filter::Filter;
pub use ops::{Callback, Flags, HandOff, Ops};
pub use registry::{
    add_sites, attached, detach_at, is_busy, is_enabled, redirect_at, register, register_at,
    register_at_all, remove_sites, set_enabled, trampoline_at, trampoline_of, unregister,
};
pub use retired::{count as retired, reclaim, retire, wait as wait_for_retired};
pub use sites::{
    Counts, Kind, Site, SiteError, Table, at_call, at_entry, bring_to_rest, counts,
    find as find_site, from_record, refused, sites, start,
};
pub use trampoline::in_trampoline;
