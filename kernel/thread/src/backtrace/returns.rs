//! Return addresses that are kept elsewhere than where the ABI has a callee save them: by
//! the graph tracer, and by a hand-off.
//!
//! Each is known by the *slot* that it was taken from: the LR save doubleword of the
//! caller's frame (ELFv2 2.2.2.1). What a stack walk finds in a slot says by itself whether
//! the real address is kept elsewhere; and there may be several entries of one slot, for a
//! function may be called in another's place. Entries are never counted off against frames: a
//! function that was interrupted need not have a frame.

use super::What;
use crate::{Kept, Thread};
use core::{
    ptr,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering},
};

/// How calls return that a hand-off lets return elsewhere than to their caller.
#[derive(Clone, Copy, Debug)]
pub struct Returns {
    /// Where to, instead.
    pub helper: unsafe extern "C" fn(),
    /// Where the real return addresses are.
    pub real: Real,
}

/// Where a hand-off keeps real return addresses. The thread that is asked about does not
/// run meanwhile, or asks itself.
#[derive(Clone, Copy, Debug)]
pub enum Real {
    /// In a list for each thread: the n-th entry from the innermost, or none. An entry that is
    /// taken and not yet filled in may hold anything.
    Listed(fn(&Thread, usize) -> Option<Kept>),
    /// In a place that the slot leads to, such as the caller's frame: what is there for
    /// the slot at an address, be it in use or left over.
    BySlot(fn(&Thread, u64) -> Option<u64>),
}

/// What the hand-off in use does; null if it lets calls return to their caller.
static RETURNS: AtomicPtr<Returns> = AtomicPtr::new(ptr::null_mut());

/// Sets how the hand-off that is in use from now on lets calls return, if not to
/// their caller. No call of another is on any stack.
pub fn set_returns(returns: Option<&'static Returns>) {
    let returns = returns.map_or(ptr::null_mut(), |returns| ptr::from_ref(returns).cast_mut());
    RETURNS.store(returns, Ordering::Relaxed);
}

/// Where hooked calls return; the threads' return stacks keep their real return
/// addresses. Matches no address before [`set_return_hook`].
static HOOK: AtomicU64 = AtomicU64::new(u64::MAX);

/// Sets where calls return that are in a thread's [`ReturnStack`](crate::ReturnStack).
pub fn set_return_hook(hook: u64) {
    HOOK.store(hook, Ordering::Relaxed);
}

#[inline(always)] // once for each thread
fn returns() -> Option<&'static Returns> {
    // SAFETY: null, or from a `&'static` in `set_returns`, and only read.
    unsafe { RETURNS.load(Ordering::Relaxed).as_ref() }
}

/// Shows every return address that is kept for a thread, in a list, whatever its frames
/// say.
#[inline]
pub(super) fn each(thread: &Thread, mut see: impl FnMut(u64)) {
    let mut n = 0;
    while let Some(kept) = thread.returns.kept(n) {
        see(kept.address);
        n += 1;
    }
    let Some(Real::Listed(entry)) = returns().map(|returns| returns.real) else {
        return;
    };
    n = 0;
    while let Some(kept) = entry(thread, n) {
        see(kept.address);
        n += 1;
    }
}

/// What finds a thread's return addresses by their slots, if a hand-off keeps them so.
#[inline]
pub(super) fn by_slot() -> Option<fn(&Thread, u64) -> Option<u64>> {
    match returns()?.real {
        Real::BySlot(real) => Some(real),
        Real::Listed(_) => None,
    }
}

/// Return addresses as they really are, while a thread's stack is walked from the
/// innermost frame outwards.
pub(super) struct Resolver<'a> {
    thread: Option<&'a Thread>,
    helper: u64,
    hook: u64,
    real: Option<Real>,
    /// Entries of each list that the walk has passed.
    passed: [usize; 2],
}

impl<'a> Resolver<'a> {
    /// For the stack of this thread, or of none before there are any.
    #[inline(always)]
    pub fn new(thread: Option<&'a Thread>) -> Self {
        let returns = returns();
        Self {
            thread,
            helper: returns.map_or(u64::MAX, |one| one.helper as usize as u64),
            hook: HOOK.load(Ordering::Relaxed),
            real: returns.map(|one| one.real),
            passed: [0; 2],
        }
    }

    /// Return addresses that stand for real ones.
    #[inline(always)]
    pub fn stand_ins(&self) -> [u64; 2] {
        [self.helper, self.hook]
    }

    fn is_kept(&self, code: u64) -> bool {
        self.stand_ins().contains(&code)
    }

    /// What `code`, found in a slot, stands for, and which of the two was resolved last.
    /// None if it is lost: then it may be left over from an earlier call.
    #[cold]
    pub fn resolve(&mut self, slot: u64, code: u64) -> Option<(u64, What)> {
        let mut found = (code, What::Call);
        while self.is_kept(found.0) {
            found = if found.0 == self.hook {
                (self.hooked(slot)?, What::Hooked)
            } else {
                (
                    self.helped(slot).filter(|&real| real != self.helper)?,
                    What::Helped,
                )
            };
        }
        Some(found)
    }

    /// The real return address that is kept for a slot, whatever is in the slot. For a
    /// call of a function that has not saved LR yet, or never will.
    #[cold]
    #[inline(never)]
    pub fn at(&mut self, slot: u64) -> Option<(u64, What)> {
        let code = match self.hooked(slot) {
            Some(code) if self.is_kept(code) => code,
            Some(code) => return Some((code, What::Hooked)),
            None => self.listed(slot)?,
        };
        let (code, what) = self.resolve(slot, code)?;
        let what = if what == What::Call {
            What::Helped
        } else {
            what
        };
        Some((code, what))
    }

    fn hooked(&mut self, slot: u64) -> Option<u64> {
        let thread = self.thread?;
        next_of(slot, &mut self.passed[0], |n| thread.returns.kept(n))
    }

    fn helped(&mut self, slot: u64) -> Option<u64> {
        match self.real? {
            Real::Listed(_) => self.listed(slot),
            Real::BySlot(real) => real(self.thread?, slot),
        }
    }

    fn listed(&mut self, slot: u64) -> Option<u64> {
        let thread = self.thread?;
        let Some(Real::Listed(entry)) = self.real else {
            return None;
        };
        next_of(slot, &mut self.passed[1], |n| entry(thread, n))
    }
}

/// The next entry of a slot outwards.
fn next_of(slot: u64, passed: &mut usize, entry: impl Fn(usize) -> Option<Kept>) -> Option<u64> {
    let mut n = *passed;
    loop {
        let kept = entry(n)?;
        n += 1;
        if kept.slot == slot {
            *passed = n;
            return Some(kept.address);
        }
    }
}
