//! What a tracer, or a live patch, registers.

use bitflags::bitflags;
use layout::CallFrame;

/// Called at every traced call, before the function runs.
///
/// `ip` is the address behind the function's site, `parent` the address that
/// the function will return to, `frame` what the trampoline has saved: the
/// arguments as they are now, and more if the ops asks for it.
///
/// A callback runs wherever the function was called: with a lock held, in an
/// interrupt handler, in the allocator. So it takes no lock that other code
/// takes, and does not allocate.
pub type Callback = extern "C" fn(ip: u64, parent: u64, ops: &'static Ops, frame: &mut CallFrame);

bitflags! {
    /// What an ops needs, or is allowed.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub struct Flags: u32 {
        /// The callback wants all registers, not the arguments alone.
        const ALL_REGISTERS = 1;
        /// The callback may change `frame.nip`. One such ops a function.
        const CHANGES_NIP = 2;
        /// Nothing that the callback calls can be traced, so it needs no guard
        /// against being called for its own calls.
        const RECURSION_SAFE = 4;
        /// Tracing must not be turned off while this ops is registered, because
        /// more than a trace depends on it.
        const PERMANENT = 8;
    }
}

/// A registered callback.
#[derive(Debug)]
pub struct Ops {
    /// For messages.
    pub name: &'static str,
    /// What to call.
    pub callback: Callback,
    /// What it needs.
    pub flags: Flags,
}

impl Ops {
    /// Whether both are the same registration, not merely alike.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}
