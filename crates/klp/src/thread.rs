//! Threads: giving way, and places where a thread may switch to another patch
//! state.

use crate::kernel::{klp_safe_point, klp_sleep, klp_thread_name, klp_yield};

/// A place where the running thread holds on to nothing: during a transition it
/// switches to the new patch state here, if its stack allows that.
#[inline]
pub fn safe_point() {
    klp_safe_point();
}

/// Lets other threads run.
#[inline]
pub fn yield_now() {
    klp_yield();
}

/// Sleeps for at least so many milliseconds.
#[inline]
pub fn sleep(milliseconds: u64) {
    klp_sleep(milliseconds);
}

/// The name of the running thread, put into `buffer`; what does not fit is cut
/// off.
#[inline]
pub fn name(buffer: &mut [u8]) -> &str {
    // SAFETY: the kernel writes no more than there is room for.
    let length = unsafe { klp_thread_name(buffer.as_mut_ptr(), buffer.len()) };
    let text = buffer.get(..length).unwrap_or(buffer);
    match str::from_utf8(text) {
        Ok(name) => name,
        // Cut off within a character.
        Err(error) => str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default(),
    }
}
