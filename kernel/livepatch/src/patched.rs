//! A function that patches replace: its site, the ways from it, and what calls of it
//! run.

use super::{LivepatchError, variants};
use alloc::{boxed::Box, vec, vec::Vec};
use consistency::{Choice, Code, PatchState};
use core::{
    mem::{ManuallyDrop, offset_of},
    ops::Deref,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};
use ftrace::{Batch, Flags, Ops, Site};
use layout::CallFrame;
use machine::{
    arch::{self, Cpu},
    debugger::Sides,
    log,
    mm::code::CodeBlock,
    sync::IrqLock,
};
use ppc64::insn;
use thread::Thread;

/// The number of the running transition: a thread with this patch state is on its
/// new side. While none runs it makes no difference.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A patched function. Its address is what the trampoline hands the callback, so it
/// stays where it is.
#[derive(Debug)]
pub struct Patched {
    /// One for each function, so that a call costs the same however many are
    /// patched.
    ops: Ops,
    site: Site,
    /// The original's global entry.
    old: Code,
    /// What runs for a thread on the old side of the running transition, and on its
    /// new side.
    codes: [AtomicU64; 2],
    /// The short way, while nothing moves.
    stub: IrqLock<Option<CodeBlock>>,
}

/// A [`Patched`] that is registered, until it is dropped.
///
/// A pointer, for the memory is freed through it: neither a reference nor a box may lock
/// memory that trampolines reach too.
#[derive(Debug)]
pub struct Registered(NonNull<Patched>);

// SAFETY: it owns a `Patched`, which any thread may use and free.
unsafe impl Send for Registered where Patched: Send + Sync {}

impl Deref for Registered {
    type Target = Patched;

    fn deref(&self) -> &Patched {
        // SAFETY: `new` has made it, and `free`, which takes `self`, alone frees it. There
        // are never references but shared ones.
        unsafe { self.0.as_ref() }
    }
}

impl Registered {
    /// Diverts the calls of the function at `old`, for now to itself.
    ///
    /// # Errors
    /// When it has no site, or tracing refuses; nothing has changed then.
    pub fn new(old: Code, batch: &mut Batch) -> Result<Self, LivepatchError> {
        let site = ftrace::find_site(old).filter(|site| site.function() == old);
        let site = site.ok_or(LivepatchError::NoSite { function: old })?;
        let flags = Flags::CHANGES_NIP
            .union(Flags::PERMANENT)
            .union(Flags::RECURSION_SAFE);
        let patched = Box::new(Patched {
            ops: Ops::new("livepatch", divert, flags).with_hand_off(variants::current().hand_off),
            site,
            old,
            codes: [AtomicU64::new(old), AtomicU64::new(old)],
            stub: IrqLock::named("livepatch::Registered", None),
        });
        let patched = NonNull::from(Box::leak(patched));
        // For `divert`, which is handed the ops and looks at what is around it.
        let _ = patched.expose_provenance();
        let registered = Self(patched);
        match batch.attach(registered.ops(), &site) {
            Ok(()) => Ok(registered),
            Err(error) => {
                registered.free();
                Err(LivepatchError::Ftrace(error))
            }
        }
    }

    /// Its ops, as ftrace keeps it: as long as it is attached, or a trampoline may call it.
    fn ops(&self) -> &'static Ops {
        // SAFETY: `free` is called when ftrace has let go of it, and no sooner.
        unsafe { &(*self.0.as_ptr()).ops }
    }

    /// Frees it. It is attached to nothing, and no trampoline calls its ops any more.
    fn free(self) {
        let patched = self.0.as_ptr();
        core::mem::forget(self);
        // SAFETY: a box that was leaked in `new`; the callers promise that no code uses it any more,
        // which are in this file.
        drop(unsafe { Box::from_raw(patched) });
    }

    /// Sets what calls run on either side. Calls read one of them, of which the other CPUs
    /// see to it that it does not change meanwhile: see
    /// [`Lock::change_with`](super::registry::Lock::change_with).
    pub fn publish(&self, choice: Choice) {
        for (code, side) in self.codes.iter().zip([false, true]) {
            code.store(choice.of(side), Ordering::Relaxed);
        }
    }

    /// Sends calls through the trampoline, where each thread's side decides.
    ///
    /// # Errors
    /// When the site can't be written; nothing has changed then.
    pub fn unsettle(&self, batch: &mut Batch) -> Result<(), LivepatchError> {
        if self.ops.direct().is_none() {
            return Ok(());
        }
        // SAFETY: the trampoline's callback decides as it always did.
        unsafe { batch.redirect(self.ops(), &self.site, None) }.map_err(LivepatchError::Ftrace)?;
        batch.leave(self.stub.lock().take());
        Ok(())
    }

    /// Sends calls straight to where all of them go now that nothing moves. Where
    /// that can't be done they go on through the trampoline.
    pub fn settle(&self, batch: &mut Batch) {
        let code = self.codes[0].load(Ordering::Relaxed);
        if self.ops.direct().is_some() || code == self.old {
            return;
        }
        let Some(stub) = stub(code) else {
            log::warn!("livepatch: no short way to {code:#x}, calls take the long one");
            return;
        };
        let start = stub.start();
        // The stub belongs to the function before any site leads there.
        *self.stub.lock() = Some(stub);
        // SAFETY: both sides go to this code, by the same hand-off; the stub is
        // retired when it is left.
        if let Err(error) = unsafe { batch.redirect(self.ops(), &self.site, Some(start)) } {
            log::warn!("livepatch: {error}");
            drop(self.stub.lock().take());
        }
    }

    /// The settled stub, if calls take the short way.
    #[must_use]
    pub fn stub(&self) -> Option<(u64, u64)> {
        let stub = self.stub.lock();
        stub.as_ref()
            .map(|stub| (stub.range().start, stub.range().end))
    }
}

/// Functions that are registered no more: their calls go to the functions themselves again. Some may
/// still be on the way through the trampolines.
#[derive(Debug)]
#[must_use]
pub struct Detached(Vec<ManuallyDrop<Registered>>);

/// Lets calls of all these functions go to the functions themselves again.
pub fn detach(all: Vec<Registered>, batch: &mut Batch) -> Detached {
    let mut detached = Vec::with_capacity(all.len());
    for registered in all {
        // Not dropped: that would come back here.
        let registered = ManuallyDrop::new(registered);
        if let Err(error) = batch.detach(registered.ops(), &registered.site) {
            // The site is not ours any more, or memory is broken: leave everything.
            log::error!("livepatch: {error}");
            continue;
        }
        batch.leave(registered.stub.lock().take());
        detached.push(registered);
    }
    Detached(detached)
}

impl Detached {
    /// Frees them. Waits once for threads that are on the way, which takes a look at every
    /// stack. The batch by which they were detached is settled.
    pub fn free(self) {
        if self.0.is_empty() {
            return;
        }
        if ftrace::wait_for_retired() {
            for registered in self.0 {
                ManuallyDrop::into_inner(registered).free();
            }
            return;
        }
        // The caller itself comes from there, or lets no other thread run: a few
        // bytes are lost, and nothing is read after it was freed.
        for registered in self.0 {
            log::warn!(
                "livepatch: {} can't be freed from here",
                registered.site.path()
            );
        }
    }
}

/// [`detach`], and [`free`](Detached::free).
pub fn release(all: Vec<Registered>) {
    let detached = detach(all, &mut Batch::default());
    detached.free();
}

impl Drop for Registered {
    /// [`release`] of one.
    fn drop(&mut self) {
        release(vec![Self(self.0)]);
    }
}

/// What [`divert`] decides by, for a debugger.
pub fn sides() -> Sides {
    Sides {
        number: &raw const NUMBER,
        current: offset_of!(Cpu, current),
        patch_state: Thread::PATCH_STATE,
    }
}

/// The number of the running transition, or of the last one.
pub fn number() -> u64 {
    NUMBER.load(Ordering::Relaxed)
}

/// Sets it.
pub fn set_number(number: u64) {
    // Relaxed: every CPU has seen what is before it, and what comes after it waits for every
    // CPU (`Lock::change_with`).
    NUMBER.store(number, Ordering::Relaxed);
}

/// The settled stub: the trampoline's end for calls that all go to `code`.
///
/// On entry, from a site's `bl`: r0 = A's return address, LR = behind the site.
fn stub(code: Code) -> Option<CodeBlock> {
    // Two instructions can name it.
    let code = u32::try_from(code)
        .ok()
        .filter(|&code| code <= i32::MAX as u32)?;
    let mut words: Vec<u32> = Vec::new();
    words.extend([
        insn::mtlr(0),
        insn::lis(12, (code >> 16) as u16),
        insn::ori(12, 12, code as u16),
    ]);
    let hand_off = (variants::current().hand_off)();
    let only_goes = matches!(hand_off, [rest @ .., last]
        if *last == insn::bctr() && !rest.iter().any(|&word| insn::reads_ctr(word)));
    if !only_goes {
        words.push(insn::mtctr(12));
    }
    words.extend_from_slice(hand_off);
    let mut block = CodeBlock::new(words.len()).ok()?;
    let from = block.start() + 4 * (words.len() as u64 - 1);
    if only_goes && let Some(last) = words.last_mut() {
        // Code memory is in reach of itself: no need for CTR.
        *last = insn::branch(from, u64::from(code), false).ok()?;
    }
    // SAFETY: nothing runs in a fresh block before a site leads there.
    unsafe { block.write(&words) }.ok()?;
    Some(block)
}

/// Decides where a call of a patched function goes.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn divert(_: u64, _: u64, ops: &Ops, frame: &mut CallFrame) {
    // Wraps never: a check would take a frame, of which each call would pay the way in and out.
    let patched = ptr::from_ref(ops)
        .addr()
        .wrapping_sub(offset_of!(Patched, ops));
    // SAFETY: `Registered::new` alone makes an ops with this callback, inside a
    // `Patched` whose address it has exposed, and which lives until no trampoline calls it.
    let patched = unsafe { &*ptr::with_exposed_provenance::<Patched>(patched) };
    let patch_state = thread::with_current(Thread::patch_state).unwrap_or(0);
    // Interrupts are on, so a transition may begin between the two looks at the number: the code may be
    // one that the last number's side must not run. Then the number is another one by now. Relaxed
    // loads are enough, for what is between is an interrupt on this CPU, and the CPU that changes
    // number and codes waits for it: the model is `crates/models/src/sides.rs`. To turn interrupts off
    // instead would have CPUs wait for each other on QEMU, which looks for interrupts under one lock.
    let number = NUMBER.load(Ordering::Relaxed);
    let side = usize::from(PatchState(patch_state).is_of(number));
    let code = patched.codes[side].load(Ordering::Relaxed);
    arch::compiler_barrier();
    if NUMBER.load(Ordering::Relaxed) != number {
        return divert_again(ops, frame);
    }
    if code != patched.old {
        frame.nip = code;
    }
}

/// [`divert`] once more. Out of line, for that is rare, and a loop would be aligned by instructions
/// that each call would run.
#[cold]
#[inline(never)]
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn divert_again(ops: &Ops, frame: &mut CallFrame) {
    divert(0, 0, ops, frame);
}
