//! A thread's hooked returns, for the function graph tracer: where its functions
//! really return to.

use core::{
    fmt,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Calls of one thread that can be hooked at a time. Deeper ones go unhooked, and
/// are counted.
pub const DEPTH: usize = 64;

/// A hooked call.
#[derive(Debug)]
pub struct Hooked {
    /// Where it returns to.
    pub parent: AtomicU64,
    /// Behind its site.
    pub ip: AtomicU64,
    /// Timebase at its start.
    pub start: AtomicU64,
}

/// Hooked calls, the innermost last. An interrupt pushes above what it interrupts,
/// and is done before that goes on.
pub struct ReturnStack {
    /// The calls; those from `used` on are left over.
    pub calls: [Hooked; DEPTH],
    /// How many there are.
    pub used: AtomicUsize,
}

impl fmt::Debug for ReturnStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hooked returns", self.used.load(Ordering::Relaxed))
    }
}

impl ReturnStack {
    pub(super) const fn new() -> Self {
        Self {
            calls: [const {
                Hooked {
                    parent: AtomicU64::new(0),
                    ip: AtomicU64::new(0),
                    start: AtomicU64::new(0),
                }
            }; DEPTH],
            used: AtomicUsize::new(0),
        }
    }

    /// The real return address of the n-th hooked call from the innermost.
    #[inline(always)]
    #[must_use]
    pub fn parent(&self, n: usize) -> Option<u64> {
        let index = self.used.load(Ordering::Relaxed).checked_sub(n + 1)?;
        Some(self.calls.get(index)?.parent.load(Ordering::Relaxed))
    }
}
