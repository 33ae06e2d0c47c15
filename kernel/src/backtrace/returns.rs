//! Return addresses that a hand-off keeps elsewhere than on the stack.

use crate::{sync::IrqLock, thread::Thread};

/// How such calls return.
#[derive(Clone, Copy, Debug)]
pub struct Returns {
    /// Where to, instead of to their caller.
    pub helper: u64,
    /// The n-th real return address of a thread, from the innermost. The thread does
    /// not run meanwhile, or asks itself.
    pub real: fn(&Thread, usize) -> Option<u64>,
}

static RETURNS: IrqLock<Option<Returns>> = IrqLock::new(None);

/// Sets how the hand-off that is in use from now on lets calls return, if not to
/// their caller. No call of another is on any stack.
pub fn set_returns(returns: Option<Returns>) {
    *RETURNS.lock() = returns;
}

/// Where calls return to instead of to their caller; no code if they don't.
pub(super) fn helper() -> u64 {
    (RETURNS.try_lock().and_then(|returns| *returns)).map_or(u64::MAX, |one| one.helper)
}

pub(super) fn real(thread: &Thread, n: usize) -> Option<u64> {
    let real = RETURNS.try_lock().and_then(|returns| *returns)?.real;
    real(thread, n)
}
