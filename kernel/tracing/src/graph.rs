//! The function graph tracer: how long each call took, and what it called.
//!
//! At a function's entry its return address is replaced by that of the *return
//! hook*, and the real one goes onto the thread's return stack, with the address of the
//! slot that it was taken from. The hook notes how long the call took, and returns to the
//! real address. A stack walk that meets the hook in a slot takes the real address from
//! the return stack's entry of that slot.
//!
//! A replacement function may be hooked too, when the hand-off has been made already.
//! By some return conventions it adds its return address to a word in its caller's
//! frame and takes the sum for the caller's r2. So the hook keeps that sum: where it
//! changes the return address by some distance, it changes the word by as much, the
//! other way.

use super::record::{self, Event};
use core::{
    arch::global_asm,
    mem::{offset_of, size_of},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};
use ftrace::{Flags, Ops};
use klp::Convention;
use layout::{CallFrame, CpuEntry, FrameHeader};
use machine::{arch, text};
use thread::ReturnStack;

/// The tracer. It hooks returns, so it must come last of all that look at them.
pub static OPS: Ops = Ops::new("function_graph", enter, Flags::RECURSION_SAFE);

/// How many calls were too deep to be hooked.
static MISSED: AtomicU64 = AtomicU64::new(0);

/// All ones while the sum of return address and [`FrameHeader::reserved`] is to be
/// kept, zero otherwise.
static SUM: AtomicU32 = AtomicU32::new(mask(Convention::USUAL));

const fn mask(convention: Convention) -> u32 {
    if convention.sums_up_toc() {
        u32::MAX
    } else {
        0
    }
}

/// Sets the return convention of the functions that may be hooked from now on. None of
/// another is being called, or on a stack.
pub fn follow(convention: Convention) {
    SUM.store(mask(convention), Ordering::Relaxed);
}

unsafe extern "C" {
    fn return_hook();
}

/// Where hooked functions return to.
#[must_use]
#[inline(always)]
pub fn hook() -> u64 {
    return_hook as *const () as u64
}

/// The real return address in place of the hook's: that of the innermost hooked call, or
/// of the hooked call that tail-called it.
#[inline(always)]
#[must_use]
pub fn real_parent(parent: u64) -> u64 {
    if parent == hook() {
        thread::with_current(|thread| unhooked(&thread.returns)).unwrap_or(parent)
    } else {
        parent
    }
}

#[inline(always)]
fn unhooked(stack: &ReturnStack) -> u64 {
    let mut n = 0;
    while let Some(kept) = stack.kept(n) {
        if kept.address != hook() {
            return kept.address;
        }
        // Checked, it would call what panics, and open a frame on every way.
        n = n.wrapping_add(1);
    }
    hook()
}

/// How many calls were too deep to be hooked.
#[must_use]
pub fn missed() -> u64 {
    MISSED.load(Ordering::Relaxed)
}

/// How many calls of the running thread are hooked now.
#[must_use]
pub fn depth() -> usize {
    thread::with_current(|thread| thread.returns.used.load(Ordering::Relaxed)).unwrap_or(0)
}

/// Forgets the running thread's hooked calls but for the first `depth`: the others never
/// return.
pub fn forget_above(depth: usize) {
    thread::with_current(|thread| thread.returns.used.fetch_min(depth, Ordering::Relaxed));
}

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn enter(ip: u64, parent: u64, _: &Ops, frame: &mut CallFrame) {
    thread::with_current(|thread| hook_return(&thread.returns, ip, parent, frame));
}

#[inline(always)]
fn hook_return(stack: &ReturnStack, ip: u64, parent: u64, frame: &mut CallFrame) {
    let index = stack.used.load(Ordering::Relaxed);
    let Some(call) = stack.calls.get(index) else {
        MISSED.fetch_add(1, Ordering::Relaxed);
        return;
    };
    // Taken before it is filled in: an interrupt from here on pushes above it. One
    // before has given back what it took.
    stack.used.store(index + 1, Ordering::Relaxed);
    let caller = frame.header.back_chain as *mut FrameHeader;
    // SAFETY: not read, and inside the frame that the back chain leads to.
    let slot = unsafe { &raw const (*caller).lr_save };
    call.slot.store(slot as u64, Ordering::Relaxed);
    call.parent.store(parent, Ordering::Relaxed);
    call.ip.store(ip, Ordering::Relaxed);
    record::push(Event::Enter {
        ip,
        depth: index as u64,
    });
    call.start.store(arch::timebase(), Ordering::Relaxed);
    // SAFETY: the back chain leads to the caller's frame, where the trampoline
    // has put the return address that it will go on with. The reserved word is in use
    // between a hand-off and the return of the function that it leads to, and no longer.
    unsafe {
        // Replacement functions are modules'.
        if ip >= text::kernel_text().end {
            let further = (hook() as u32).wrapping_sub(parent as u32);
            let reserved = (*caller).reserved;
            (*caller).reserved = reserved.wrapping_sub(further & SUM.load(Ordering::Relaxed));
        }
        (*caller).lr_save = hook();
    }
}

/// A hooked function has returned. Returns where it was to return to.
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn leave() -> u64 {
    let now = arch::timebase();
    // Only `enter` sends returns here, and only when there is a thread.
    thread::with_current(|thread| unhook_return(&thread.returns, now)).unwrap_or(0)
}

#[inline(always)]
fn unhook_return(stack: &ReturnStack, now: u64) -> u64 {
    let index = stack.used.load(Ordering::Relaxed) - 1;
    let call = &stack.calls[index];
    let (ip, start) = (
        call.ip.load(Ordering::Relaxed),
        call.start.load(Ordering::Relaxed),
    );
    record::push(Event::Return {
        ip,
        depth: index as u64,
        ticks: now - start,
    });
    let parent = call.parent.load(Ordering::Relaxed);
    stack.used.store(index, Ordering::Relaxed);
    parent
}

/// The hook's frame.
#[repr(C, align(16))]
struct HookFrame {
    header: FrameHeader,
    /// r3 to r10: a function may return values in any of them.
    results: [u64; 8],
}

// return_hook: where a hooked function returns to.
//
// On entry: r3 to r10 = what the function returns, r1 = its caller's frame, r2 =
// what the function left there, LR = this address, r13 = this CPU's CpuEntry.
// On exit: returns to where the function was to return to, with r1 to r10 and
// every nonvolatile register as they were. Clobbers: r0, r11, r12, CTR, XER and
// the volatile fields of CR, as a function may.
// Stack: one HookFrame.
global_asm!(
    ".globl return_hook",
    ".type return_hook, @function",
    ".balign 16",
    "return_hook:",
    "stdu 1, -{frame}(1)",
    "std 2, {toc_save}(1)",
    ".set n, 3",
    ".rept 8",
    "std n, {results} + 8 * (n - 3)(1)",
    ".set n, n + 1",
    ".endr",
    "ld 2, {toc}(13)",
    "bl {leave}",
    "nop",
    "mtlr 3",
    ".set n, 3",
    ".rept 8",
    "ld n, {results} + 8 * (n - 3)(1)",
    ".set n, n + 1",
    ".endr",
    "ld 2, {toc_save}(1)",
    "addi 1, 1, {frame}",
    "blr",
    ".size return_hook, . - return_hook",
    frame = const size_of::<HookFrame>(),
    toc_save = const offset_of!(FrameHeader, toc_save),
    results = const offset_of!(HookFrame, results),
    toc = const offset_of!(CpuEntry, toc),
    leave = sym leave,
);
