//! Live patching: functions are replaced while threads run them.
//!
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
pub use enable::{Options, disable, enable, load, unload};
pub use error::LivepatchError;
pub use patch::{Patch, Status};
pub use registry::{each, find, is_busy, patches, way_of};
pub use states::previous as previous_state;
pub use switching::Blocked;
pub use transition::{force, reverse, wait};
pub use watch::{Event, How, Progress, Running, observe, progress, running};
pub use worker::start;
