//! A thread's hooked returns, for the function graph tracer: where its functions
//! really return to.

use core::{
    fmt,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Calls of one thread that can be hooked at a time. Deeper ones go unhooked, and
/// are counted.
pub const DEPTH: usize = 64;

/// A return address that is kept elsewhere than where the ABI has a callee save it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kept {
    /// Address of the LR save doubleword that it was taken from: of the caller's frame
    /// (ELFv2 2.2.2.1).
    pub slot: u64,
    /// Where the call returns to.
    pub address: u64,
}

/// A hooked call.
#[derive(Debug)]
pub struct Hooked {
    /// Where its caller's frame has the hook in place of the return address.
    pub slot: AtomicU64,
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
                    slot: AtomicU64::new(0),
                    parent: AtomicU64::new(0),
                    ip: AtomicU64::new(0),
                    start: AtomicU64::new(0),
                }
            }; DEPTH],
            used: AtomicUsize::new(0),
        }
    }

    /// The return address of the n-th hooked call from the innermost. One that was taken and is not yet
    /// filled in holds what it held before.
    #[inline(always)]
    #[must_use]
    pub fn kept(&self, n: usize) -> Option<Kept> {
        let used = self.used.load(Ordering::Relaxed);
        let index = used.checked_sub(1)?.checked_sub(n)?;
        let call = self.calls.get(index)?;
        Some(Kept {
            slot: call.slot.load(Ordering::Relaxed),
            address: call.parent.load(Ordering::Relaxed),
        })
    }
}
