//! Which functions differ between two builds of the kernel, and a patch module made of them.
//!
//! A build is a set of object files. Functions of the same unit and name are the same if
//! they have the same bytes and refer to the same things: to what has a name by its name, and
//! to what has none by what it holds. (Linux's kpatch-build compares objects so, since 2014;
//! `objtool klp diff` does, since Linux 6.19, by a sum over each function.) The compiler's
//! knowledge of other functions shows as changed callers, so nothing has to be said about
//! inlining: a function with a changed one in it is changed.
#![forbid(unsafe_code)]

mod build;
mod compare;
mod error;
mod extract;
mod hooks;
mod image;
mod meaning;
mod names;
mod own_toc;
mod parts;
mod plan;
mod rest;
mod unit;
mod write;

pub use build::Build;
pub use compare::{Change, Comparison, Function, Id, Rest, Static, compare};
pub use error::{CompareError, ReadError, Refusal};
pub use extract::{Carried, Form};
pub use hooks::Hook;
pub use image::{Found, Image};
pub use names::{Unclear, path};
pub use own_toc::{Returns, Why};
pub use plan::{MOST_FUNCTIONS, Note, Plan, Reason, plan, replaceable};
pub use unit::{Kind, Named, Symbol, Unit};
pub use write::{Module, Request, module};
