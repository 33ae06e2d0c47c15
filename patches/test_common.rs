//! What the test patches share: what the kernel exports for tests alone, and
//! callbacks that tell what they are called for. Each includes this file.
#![allow(
    dead_code,
    unused_macros,
    unused_imports,
    reason = "no patch uses all of it"
)]

use klp::Context;

unsafe extern "C" {
    fn test_note(
        module: *const u8,
        module_length: usize,
        event: *const u8,
        event_length: usize,
        object: *const u8,
        object_length: usize,
    );
    /// Stays at the kernel's gate until it is open, in one of its ways.
    pub safe fn test_stay(how: u64);
    /// Sets the system state, and returns what it was.
    pub safe fn test_level(level: u64) -> u64;
}

/// Asleep, for [`test_stay`].
pub const ASLEEP: u64 = 0;

/// Lets the kernel print and keep that a callback was called.
pub fn note(module: &str, event: &str, context: &Context<'_>) {
    let object = context.object();
    // SAFETY: the kernel reads three texts.
    unsafe {
        test_note(
            module.as_ptr(),
            module.len(),
            event.as_ptr(),
            event.len(),
            object.as_ptr(),
            object.len(),
        );
    }
}

/// The four callbacks, which only tell, and the parameter `PRE_PATCH_RET`: what
/// `pre_patch` returns.
macro_rules! telling_callbacks {
    ($module:literal) => {
        /// What `pre_patch` returns. Exported, or the compiler would take it for a
        /// constant: the kernel's tests write it from outside.
        #[unsafe(no_mangle)]
        pub static PRE_PATCH_RET: core::sync::atomic::AtomicI32 =
            core::sync::atomic::AtomicI32::new(0);

        extern "C" fn pre_patch(context: &klp::Context<'_>) -> i32 {
            $crate::common::note($module, "pre_patch", context);
            PRE_PATCH_RET.load(core::sync::atomic::Ordering::Relaxed)
        }

        extern "C" fn post_patch(context: &klp::Context<'_>) {
            $crate::common::note($module, "post_patch", context);
        }

        extern "C" fn pre_unpatch(context: &klp::Context<'_>) {
            $crate::common::note($module, "pre_unpatch", context);
        }

        extern "C" fn post_unpatch(context: &klp::Context<'_>) {
            $crate::common::note($module, "post_unpatch", context);
        }
    };
}
pub(crate) use telling_callbacks;
