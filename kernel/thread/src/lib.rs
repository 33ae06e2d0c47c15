//! Preemptive threads.
//!
//! Each has a stack and a livepatch stack of its own, between guards, a name, and what the kernel keeps for
//! it: the return stack of hooked calls, and its patch state. The scheduler is
//! round robin; a tick takes a thread off the CPU after its time slice, wherever it
//! is, unless interrupts are off. Threads give way by [`yield_now`], [`sleep`],
//! [`park`] and [`Handle::join`].
#![no_std]
#![feature(allocator_api)]

extern crate alloc;
#[macro_use]
extern crate machine;

pub mod backtrace;
pub mod interrupt;
pub mod isolation;
mod memory;
mod mutex;
mod patch_state;
mod returns;
mod scheduler;
mod wait;

pub use machine::cpus::CpuError;
pub use memory::ThreadStack;
use memory::taken_along;
pub use mutex::{Mutex, MutexGuard};
pub use patch_state::{on_safe_point, safe_point, set_pending};
pub use returns::{DEPTH, Hooked, Kept, ReturnStack};
pub use scheduler::{
    Activity, all, count, end_stopped, find, is_busy, preempt, sleep, start, start_cpus, stopped,
    tick, yield_now,
};
pub use wait::{WaitQueue, park, park_until};

use alloc::{collections::TryReserveError, sync::Arc};
use arrayvec::ArrayString;
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
};
use machine::arch;

/// Default size of a thread's stack, in bytes: 16 KiB for its own frames, the rest
/// for an interrupt's.
pub const STACK_BYTES: usize = 24 * 1024;

/// What a thread is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum State {
    /// It waits for the CPU.
    Ready,
    /// It has the CPU.
    Running,
    /// It waits for a time, or to be woken.
    Asleep,
    /// It has returned.
    Ended,
    /// It was stopped because of a fault.
    Stopped,
}

/// Names are no longer than this, in bytes; the rest is cut off.
pub const NAME_BYTES: usize = 32;

/// Takes up the closure that lies at the end of the livepatch stack, which is given; turns
/// interrupts on, and calls it. Until then they must be off: an interrupt's handler may
/// push there for each patched function that it calls.
type Runner = unsafe fn(u64);

/// # Safety
/// Interrupts are off. A `F` was [taken along](taken_along) to `end`, and is not used afterwards.
unsafe fn run<F: FnOnce()>(end: u64) {
    // SAFETY: as the caller promises.
    let body = unsafe { taken_along::<F>(end).read() };
    // SAFETY: the thread has just begun, so it holds no guard.
    unsafe { arch::interrupts_on() };
    body();
}

/// A thread. Aligned to a cache block, so that threads leave no small holes between them in
/// the heap: its allocator looks at all holes one by one.
#[repr(align(128))]
pub struct Thread {
    id: u32,
    name: ArrayString<NAME_BYTES>,
    stack: ThreadStack,
    /// r1 while it does not run.
    r1: AtomicU64,
    /// While it does not run: where its livepatch stack ends.
    livepatch_stack: AtomicU64,
    state: AtomicU8,
    /// The number of the CPU that it runs on, or ran on last.
    cpu: AtomicU32,
    /// Whether it is what a CPU runs when nothing else wants to.
    is_idle: bool,
    /// While it does not run: whether an interrupt took it off the CPU.
    preempted: AtomicBool,
    /// Whether it was unparked since it last parked.
    token: AtomicBool,
    /// The time of its newest timer, in timebase ticks; 0 before the first.
    deadline: AtomicU64,
    /// The number of the last transition that it has made; see `livepatch`.
    patch_state: AtomicU64,
    /// Its hooked returns.
    pub returns: ReturnStack,
    /// Takes up what it runs, which lies at the end of its livepatch stack until then.
    runner: Runner,
    joiners: WaitQueue,
    /// In the queue that it waits in.
    place: wait::Place,
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} ({:?})", self.name, self.id, self.state())
    }
}

impl Thread {
    fn new(id: u32, name: &str, stack: ThreadStack, patch_state: u64, runner: Runner) -> Self {
        let mut own = ArrayString::new();
        let fits = name.floor_char_boundary(NAME_BYTES);
        own.push_str(&name[..fits]);
        Self {
            id,
            name: own,
            r1: AtomicU64::new(0),
            livepatch_stack: AtomicU64::new(stack.livepatch()),
            state: AtomicU8::new(State::Ready as u8),
            cpu: AtomicU32::new(0),
            is_idle: false,
            preempted: AtomicBool::new(false),
            token: AtomicBool::new(false),
            deadline: AtomicU64::new(0),
            patch_state: AtomicU64::new(patch_state),
            stack,
            returns: ReturnStack::new(),
            runner,
            joiners: WaitQueue::new(),
            place: wait::Place::new(),
        }
    }

    /// Its number. The main thread's is 0.
    #[must_use]
    #[inline(always)]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its name. Several may have the same.
    #[must_use]
    #[inline]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its stack.
    #[must_use]
    #[inline]
    pub fn stack(&self) -> &ThreadStack {
        &self.stack
    }

    /// What it is doing.
    #[must_use]
    #[inline]
    pub fn state(&self) -> State {
        // Acquire: what an ended thread has done is seen.
        match self.state.load(Ordering::Acquire) {
            0 => State::Ready,
            1 => State::Running,
            2 => State::Asleep,
            3 => State::Ended,
            _ => State::Stopped,
        }
    }

    #[inline]
    fn set_state(&self, state: State) {
        // Release: pairs with `state`.
        self.state.store(state as u8, Ordering::Release);
    }

    /// The number of the CPU that it runs on, or ran on last.
    #[must_use]
    #[inline]
    pub fn cpu(&self) -> u32 {
        self.cpu.load(Ordering::Relaxed)
    }

    /// Whether it is what a CPU runs when nothing else wants to.
    #[must_use]
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// Its patch state: the number of the last transition that it has made.
    #[must_use]
    #[inline(always)]
    pub fn patch_state(&self) -> u64 {
        self.patch_state.load(Ordering::Relaxed)
    }

    /// Where its patch state is in it, in bytes: for a debugger.
    pub const PATCH_STATE: usize = core::mem::offset_of!(Self, patch_state);

    /// Sets its patch state.
    #[inline]
    pub fn set_patch_state(&self, patch_state: u64) {
        self.patch_state.store(patch_state, Ordering::Relaxed);
    }

    /// Where its livepatch stack begins, and the top of it.
    #[must_use]
    pub fn livepatch_stack(&self) -> (u64, u64) {
        let top = if core::ptr::from_ref(self).addr() as u64 == arch::current() {
            arch::livepatch_stack()
        } else {
            self.livepatch_stack.load(Ordering::Relaxed)
        };
        (self.stack.livepatch(), top)
    }

    /// Wakes it from [`park`], or lets its next [`park`] return at once.
    pub fn unpark(&self) {
        // Before the lock that `wake` takes: see `park_until`, and
        // `wait::control_wakes_before_the_token` in `crates/models`.
        self.token.store(true, Ordering::Release);
        scheduler::wake(self);
    }
}

/// Runs `look` on the running thread; `None` before there are threads. For code
/// that may run inside a tracer's callback: calls nothing that can be traced.
#[inline(always)]
pub fn with_current<T>(look: impl FnOnce(&Thread) -> T) -> Option<T> {
    let current = arch::current() as *const Thread;
    // SAFETY: null, or a thread that the scheduler keeps for as long as it runs,
    // and this code is what it runs, or an interrupt of it.
    unsafe { current.as_ref() }.map(look)
}

/// The running thread.
///
/// # Panics
/// Before [`start`].
#[must_use]
#[inline]
pub fn current() -> Arc<Thread> {
    let current = arch::current() as *const Thread;
    assert!(!current.is_null(), "there are no threads yet");
    // SAFETY: came from an `Arc` that the scheduler holds for as long as the thread
    // runs, which it does.
    unsafe {
        Arc::increment_strong_count(current);
        Arc::from_raw(current)
    }
}

/// A thread that was spawned, to wait for.
#[derive(Debug)]
pub struct Handle {
    thread: Arc<Thread>,
}

/// The thread was stopped by a fault before it returned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stopped {
    /// Which.
    pub name: ArrayString<NAME_BYTES>,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread `{}` was stopped by a fault", self.name)
    }
}

impl Handle {
    /// The thread.
    #[must_use]
    #[inline]
    pub fn thread(&self) -> &Arc<Thread> {
        &self.thread
    }

    /// Waits until the thread has returned, and gives back its stack.
    ///
    /// # Errors
    /// When it was stopped by a fault.
    pub fn join(self) -> Result<(), Stopped> {
        let thread = self.thread;
        let gone = |thread: &Thread| matches!(thread.state(), State::Ended | State::Stopped);
        thread.joiners.wait_until(|| gone(&thread));
        let result = if thread.state() == State::Stopped {
            Err(Stopped { name: thread.name })
        } else {
            Ok(())
        };
        scheduler::wait_until_left(&thread);
        drop(thread);
        scheduler::reap();
        result
    }
}

impl Handle {
    /// Waits until the thread has gone, at most until the timebase reaches
    /// `deadline`. Says whether it has; then [`join`](Self::join) does not wait.
    #[must_use]
    pub fn wait_until(&self, deadline: u64) -> bool {
        let gone = || matches!(self.thread.state(), State::Ended | State::Stopped);
        self.thread.joiners.wait_deadline(deadline, gone)
    }
}

/// No memory for another thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory for another thread")
    }
}

impl From<TryReserveError> for OutOfMemory {
    fn from(_: TryReserveError) -> Self {
        Self
    }
}

/// Starts a thread that runs `body`. It inherits its maker's patch state.
///
/// # Errors
/// [`OutOfMemory`].
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<Handle, OutOfMemory> {
    spawn_with_stack(name, STACK_BYTES, body)
}

/// The same, with a stack of `bytes`.
///
/// # Errors
/// [`OutOfMemory`].
pub fn spawn_with_stack<F: FnOnce() + Send + 'static>(
    name: &str,
    bytes: usize,
    body: F,
) -> Result<Handle, OutOfMemory> {
    scheduler::reap();
    let stack = ThreadStack::new(bytes)?;
    let thread = scheduler::add(name, stack, run::<F>, false)?;
    // Taken up by `run`, once the thread is sure to begin.
    // SAFETY: free memory of the stack, large enough and aligned, as asserted; the thread
    // has not begun, for it was not woken yet.
    unsafe { taken_along::<F>(thread.stack().guard()).write(body) };
    scheduler::wake(&thread);
    Ok(Handle { thread })
}
