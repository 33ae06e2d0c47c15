//! What calls are measured, watched and provoked with. None of it is part of what the
//! kernel does: tests and the laboratory use it.

pub mod abi;
pub mod access;
pub mod calls;
pub mod damage;
pub mod probe;
pub mod sanitiser;
mod soak;
pub mod specimen;

pub use soak::register_soak;
