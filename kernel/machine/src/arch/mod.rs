//! The architecture. There is one, so its items are re-exported here: outside,
//! `arch::` reads as "what the machine does".

mod ppc64;

pub use ppc64::*;
