//! What the debug information of an object says that its code does not.
//!
//! - [`Types`]: how each type is laid out, and [`compare`]: what of that differs between two
//!   builds, and with [`compare_statics`] which statics are of another type. A value that the old code has made is read by the new code after a live patch:
//!   with another layout it reads something else.
//! - [`Functions`]: which lines of which files a function's code comes from, with what was
//!   inlined into it, and so why an edit changed it.
//! - [`edited_lines`]: which lines of a source file were edited.
//!
//! Objects are ELF files as rustc writes them, relocatable or linked, with DWARF 4 or 5.
//! Types need `debug = "full"`; functions and their lines are there with `"limited"` too.
//!
//! What is read may be damaged: everything ends in an [`Error`] at worst, after work and
//! memory in proportion to the object's size.
#![forbid(unsafe_code)]

mod compare;
mod die;
mod difference;
mod error;
mod functions;
mod lines;
mod reach;
mod same;
mod sections;
mod statics;
mod types;

pub use compare::compare;
pub use difference::{ChangeKind, Difference, TypeChange};
pub use error::Error;
pub use functions::{Function, Functions, Inlined, Row, Why};
pub use lines::edited_lines;
pub use reach::{Holder, How, containers, statics_of};
pub use statics::{StaticChange, compare_statics};
pub use types::{Field, Shape, Static, Type, TypeId, Types, Variant};
