//! The consistency model of live patching: which thread runs which version of
//! a function, and when no thread can run an old one any more.
//!
//! It is the model of Linux (`kernel/livepatch/{core,patch,transition}.c`,
//! `Documentation/livepatch/livepatch.rst`), as plain data:
//!
//! - Each function has a stack of replacements, and the newest wins.
//! - One patch at a time comes or goes: a [`Transition`]. Meanwhile each thread
//!   is on the old or the new side of it, for all of the patch's functions
//!   alike. Its [`PatchState`] says which.
//! - A thread switches where it is in no function that the transition leaves
//!   behind ([`Patches::leaving`]): while it sleeps with none of them on its
//!   stack, or at a point where it can't be in one.
//! - When all threads have switched, the transition completes, and the code of
//!   the patches that it removed is free, unless it was forced.
//! - A running transition can be reversed, any number of times.
//! - A patch may replace all earlier ones: functions that only those replaced
//!   go back to the original.
//!
//! Three things differ from Linux. A transition that replaces all earlier
//! patches leaves all their code, not only what was the newest: after an
//! earlier transition was forced, a thread may still be in the rest, and it is
//! about to be freed. A function in the middle of its stack asks nothing of a
//! reversed disabling, since no thread's choice depends on it. And patches
//! refer to functions that are there: the driver tells when modules come and go.
//!
//! The model knows no threads. Its driver keeps their states and stacks, asks
//! [`Patches::has_switched`], switches a thread by giving it
//! [`Patches::goal`], and says when all have switched. The same driver publishes
//! the calls' [`Choice`]s to all callers before any thread switches. The stack
//! of a thread that was interrupted is not reliable, even if it can be walked:
//! the thread may have chosen a version and not be in it yet.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod choice;
mod error;
mod leaving;
mod patches;
mod questions;
mod ranges;
mod stack;
mod transition;

pub use choice::{Choice, Code, Function, Motion, PatchId, PatchState};
pub use error::ModelError;
pub use patches::Patches;
pub use ranges::Ranges;
pub use transition::{Completed, Direction, Phase, Transition};
