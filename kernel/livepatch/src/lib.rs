//! Live patching: functions are replaced while threads run them.
//!
//! # Why it is as it is
//! To send a call of a function elsewhere takes one word at its site. What is hard is *when*.
//! Two functions that are replaced together, because one now locks what the other expects
//! locked, must be seen together: a thread that calls the old one and then the new one breaks
//! what neither breaks alone. No moment is right for all threads, since some sleep in the
//! middle of an old function for as long as they like.
//!
//! So each thread has a moment of its own. Its *patch state*, one number, says on which side
//! of the running transition it is. It switches when no function that is being left is on its
//! stack: at a safe point it looks at its own stack, and while it is off the CPU the worker
//! looks. A stack tells the truth only where every frame is known for certain; where one is
//! not, the thread is *blocked* and tried again. Until the last thread has switched, each call
//! of a patched function asks for the caller's side, in a trampoline; then the transition
//! ends, and calls are direct.
//!
//! A thread never switches in the middle of a call of a patched function, so its side can be
//! read without a lock. The new number is published before any thread may take it, so that a
//! change of all functions appears to a thread at one moment: when its own number changes.
//!
//! A transition can be reversed, since both sides are kept until it ends. It can be forced,
//! and then the old code stays for good, since a thread may still be in it.
//!
//! How the replacement function returns to a caller with another TOC is a question of its own:
//! [`variants`] has an answer in each file.
//!
//! # What there is
//! A *patch* is a module with pairs of an old function and a new one, enabled and
//! disabled together. Enabling it starts a *transition*: each thread is on its old
//! or its new side, for all functions alike, and switches at a safe point, or while
//! it sleeps with none of the functions being left on a stack that can be relied on.
//! When all have switched, the transition has ended, and calls take the short way.
//!
//! The rules are those of Linux (`Documentation/livepatch/livepatch.rst`,
//! `kernel/livepatch/`), and are written down in the crate `consistency`, which
//! knows no threads. docs/livepatch.md explains them; what is different, docs/linux.md.
//!
//! - `descriptor`: what a module patches, as its descriptor says;
//! - `patched`: a function's ways to what it runs now;
//! - `registry`: which patches there are, and who may change that;
//! - `enable`: a patch's way in and out; `transition`: from its begin to its end;
//!   `switching`: by which rule a thread switches, and when;
//! - `objects`: functions of modules that come and go;
//! - `originals`: what replacement functions replace;
//! - `convention`: what a replacement must do before it returns, as instructions;
//! - `watch`: what is to be seen of it;
//! - `faults`: faults of replacement functions;
//! - `shadow`, `states`: what patches keep beside the kernel's data.
#![no_std]
#![feature(patchable_function_entry)]

extern crate alloc;

mod convention;
mod descriptor;
mod enable;
mod error;
mod exports;
mod faults;
mod objects;
mod originals;
mod patch;
mod patched;
mod registry;
pub mod shadow;
mod states;
mod switching;
mod transition;
pub mod variants;
mod watch;
mod worker;

pub use convention::restore;
pub use descriptor::{Descriptor, SystemState, Target, Wanted};
pub use enable::{Options, disable, enable, load, unload};
pub use error::{DescriptorError, LivepatchError};
pub use patch::{Patch, Status};
pub use registry::{each, find, is_busy, patches, way_of};
pub use states::previous as previous_state;
pub use switching::Blocked;
pub use transition::{force, reverse, wait};
pub use watch::{Event, How, Progress, Running, observe, progress, running};
pub use worker::start;
