//! What a kernel and its patch modules share: the descriptor, the macros that
//! make replacement functions, and the functions that the kernel exports.
//!
//! A patch depends on this crate and never on the kernel. [`module!`] describes
//! the module, [`replacement!`] makes the functions in it:
//!
//! ```ignore
//! klp::module! {
//!     name: "greeting",
//!     replaces: ["kernel::greet" => greet],
//! }
//!
//! klp::replacement! {
//!     /// Says it in other words.
//!     extern "C" fn greet(times: u64) -> u64 {
//!         klp::println!("good evening, {times} times");
//!         times
//!     }
//! }
//! ```
#![no_std]

mod callbacks;
pub mod convention;
pub mod hook;
pub mod info;
pub mod kernel;
mod macros;
mod note;
mod pinned;
pub mod seal;
pub mod shadow;
pub mod state;
pub mod thread;

pub use callbacks::{Callback, Callbacks, Context, PrePatch};
pub use convention::{CONVENTION, Convention};
pub use info::{Function, Info, Object, Provided, Text};
pub use note::{NOTES_SECTION, SHIPPED_VARIANTS, VariantNote};
pub use pinned::{FullWord, Pair, Pinned, Word};
pub use state::State;

/// The most bytes that the frame of a module's function may have: the size of the guard
/// below each stack, a page that is not there.
///
/// What opens a frame stores the back chain at its lowest end (ELFv2 2.2.2.1), so a frame
/// that is no larger than the guard can't step over it: the store faults. `xtask` packs no
/// module with a larger one (`xtask/src/proof`).
pub const MOST_FRAME: usize = 4096;
