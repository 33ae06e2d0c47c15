//! Which lock is taken while which is held: whether that keeps to the order of the crate
//! `lockorder`.
//!
//! Only the image of the tests looks, by the feature `lock-order`. In the others a lock has
//! no class, and nothing here is code or data.

#[cfg(feature = "lock-order")]
#[path = "lock_order/on.rs"]
mod which;
#[cfg(not(feature = "lock-order"))]
#[path = "lock_order/off.rs"]
mod which;

/// Whether it is looked at. It makes locks dear.
pub const IS_CHECKED: bool = cfg!(feature = "lock-order");

#[cfg(feature = "lock-order")]
pub use which::pairs;
pub use which::{Class, Held, wait_for_others};
