//! What a tracer, or a live patch, registers.

use bitflags::bitflags;
use core::sync::atomic::{AtomicU64, Ordering};
use layout::CallFrame;
use ppc64::insn;

/// Called at every traced call, before the function runs.
///
/// `ip` is the address behind the function's site, `parent` the address that
/// the function will return to, `frame` what the trampoline has saved: the
/// arguments as they are now, and more if the ops asks for it.
///
/// A callback runs wherever the function was called: with a lock held, in an
/// interrupt handler, in the allocator. So it takes no lock that other code
/// takes, and does not allocate.
pub type Callback = extern "C" fn(ip: u64, parent: u64, ops: &Ops, frame: &mut CallFrame);

/// Yields the instructions that leave the trampoline for another function. They are
/// copied, so they are position independent, and end by going there.
///
/// On entry: r12 and CTR = the function's global entry; LR and r0 = where it is to
/// return to; r1 = the caller's frame, r2 and r3 to r10 as the caller left them.
/// On exit: at CTR, with r1 and r3 to r10 or what stands for them. Clobbers: r0, r11.
pub type HandOff = fn() -> &'static [u32];

/// Goes there, and that is all: right for functions that return with the r2 they
/// were called with, as those of the kernel do when the kernel calls them.
fn plain() -> &'static [u32] {
    const { &[insn::bctr()] }
}

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
    /// The last instructions on the way to another function.
    pub(super) hand_off: HandOff,
    /// Code that a site may call instead of the trampoline while it has no other
    /// ops; zero if there is none. See [`Batch::redirect`](super::Batch::redirect).
    direct: AtomicU64,
}

impl Ops {
    /// An ops that is not registered yet.
    #[must_use]
    pub const fn new(name: &'static str, callback: Callback, flags: Flags) -> Self {
        Self {
            name,
            callback,
            flags,
            hand_off: plain,
            direct: AtomicU64::new(0),
        }
    }

    /// With a hand-off of its own, for calls that it sends elsewhere.
    #[must_use]
    pub const fn with_hand_off(mut self, hand_off: HandOff) -> Self {
        self.hand_off = hand_off;
        self
    }

    /// The code that sites may call instead of the trampoline.
    #[must_use]
    pub fn direct(&self) -> Option<u64> {
        Some(self.direct.load(Ordering::Relaxed)).filter(|&code| code != 0)
    }

    /// Sets it, for the next time that a site is written.
    pub(super) fn set_direct(&self, code: Option<u64>) {
        self.direct.store(code.unwrap_or(0), Ordering::Relaxed);
    }

    /// Whether both are the same registration, not merely alike.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}
