//! Live patching: functions are replaced while threads run them.
//!
//! A *patch* is a module with pairs of an old function and a new one, enabled and
//! disabled together. Enabling it starts a *transition*: each thread is on its old
//! or its new side, for all functions alike, and goes over at a safe point, or while
//! it sleeps with none of the functions being left on a stack that can be relied on.
//! When all have gone over, the transition has ended, and calls take the short way.
//!
//! The rules are those of Linux (`Documentation/livepatch/livepatch.rst`,
//! `kernel/livepatch/`), and are written down in the crate `consistency`, which
//! knows no threads. docs/livepatch.md explains them; what is different, docs/linux.md.
//!
//! - `patched`: a function's ways to what it runs now;
//! - `registry`: which patches there are, and who may change that;
//! - `enable`, `transition`: a patch's way in and out;
//! - `objects`: functions of modules that come and go;
//! - `originals`: what replacement functions replace;
//! - `convention`: what a replacement must do before it returns, as instructions;
//! - `watch`: what is to be seen of it;
//! - `blame`: faults of replacement functions;
//! - `shadow`, `states`: what patches keep beside the kernel's data.
#![no_std]
#![feature(patchable_function_entry)]

extern crate alloc;

mod blame;
mod convention;
mod enable;
mod error;
mod exports;
mod objects;
mod originals;
mod patch;
mod patched;
mod registry;
pub mod shadow;
mod states;
mod transition;
pub mod variants;
mod watch;
mod worker;

pub use convention::restore;
pub use enable::{Options, disable, enable, force, load, reverse, unload};
pub use error::LivepatchError;
pub use patch::{Patch, Status};
pub use registry::{each, find, is_busy, patches, way_of};
pub use states::previous as previous_state;
pub use transition::wait;
pub use watch::{Event, Held, How, Progress, Running, observe, progress, running};
pub use worker::start;
