//! What the author of a change to the kernel has called when the change is brought into a
//! kernel that runs: the code that brings its data up to date.
//!
//! The kernel itself is linked without it. Only a patch that is made of the change has it,
//! in the callbacks of its descriptor.

use crate::Callbacks;

/// The section of hooks, which the kernel's linker script leaves out.
pub const SECTION: &str = ".klp.hooks";

/// A hook, as `hook!` makes it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Hook {
    /// The paths of the statics and types whose live values it brings up to date.
    pub updates: &'static [&'static str],
    /// What is called.
    pub callbacks: Callbacks,
}

/// Has functions called around the patch that is made of a change.
///
/// ```ignore
/// klp::hook! {
///     // Statics with another initial value, and types with another layout.
///     updates: ["demo::bank::RATE"],
///     // Any of `klp::Callbacks`.
///     callbacks: { pre_patch: raise_the_rate },
/// }
/// ```
#[macro_export]
macro_rules! hook {
    (
        updates: [$($updated:literal),* $(,)?],
        callbacks: {$($event:ident: $callback:path),* $(,)?} $(,)?
    ) => {
        const _: () = {
            #[used]
            #[unsafe(link_section = ".klp.hooks")]
            static HOOK: $crate::hook::Hook = $crate::hook::Hook {
                updates: &[$($updated),*],
                #[allow(clippy::needless_update, reason = "perhaps all are there, perhaps none")]
                callbacks: $crate::Callbacks {
                    $($event: Some($callback),)*
                    ..$crate::Callbacks::NONE
                },
            };
        };
    };
}
