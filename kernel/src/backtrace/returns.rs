//! Return addresses that a hand-off keeps elsewhere than on the stack.

use crate::{sync::IrqLock, thread::Thread, tracing::graph};

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
#[inline]
pub(super) fn helper() -> u64 {
    (RETURNS.try_lock().and_then(|returns| *returns)).map_or(u64::MAX, |one| one.helper)
}

#[inline]
pub(super) fn real(thread: &Thread, n: usize) -> Option<u64> {
    let real = RETURNS.try_lock().and_then(|returns| *returns)?.real;
    real(thread, n)
}

/// Return addresses as they really are, while a thread's stack is walked from the
/// innermost frame outwards.
pub(super) struct Resolver<'a> {
    thread: Option<&'a Thread>,
    helper: u64,
    hook: u64,
    helps: usize,
    hooks: usize,
}

impl<'a> Resolver<'a> {
    /// For the stack of this thread, or of nobody's before there are any.
    #[inline(always)]
    pub fn new(thread: Option<&'a Thread>) -> Self {
        Self {
            thread,
            helper: helper(),
            hook: graph::hook(),
            helps: 0,
            hooks: 0,
        }
    }

    /// What a return address on the stack stands for: itself, what the hand-off keeps
    /// elsewhere, or what the graph tracer does. None if that is lost.
    #[inline(always)] // once for each frame of each thread
    pub fn resolve(&mut self, mut code: u64) -> Option<u64> {
        if code == self.helper {
            code = real(self.thread?, self.helps)?;
            self.helps += 1;
        }
        if code == self.hook {
            code = self.thread?.returns.parent(self.hooks)?;
            self.hooks += 1;
        }
        Some(code)
    }
}
