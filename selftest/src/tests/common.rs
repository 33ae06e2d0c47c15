//! What the tests have in common.

use alloc::{format, string::String};
use core::{
    fmt::Display,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use ftrace::{Callback, Filter, Flags, Ops};
use layout::CallFrame;
use machine::{arch, time};
use thread::Handle;

/// An error as a self-test's message.
pub fn text(error: impl Display) -> String {
    format!("{error}")
}

/// How long a test waits for what must happen: far longer than the busiest host takes.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A timebase that is not reached if all is well.
pub fn limit() -> u64 {
    arch::timebase() + time::timebase_ticks(LIMIT)
}

/// A thread, or why there is none as a self-test's message.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<Handle, String> {
    thread::spawn(name, body).map_err(|error| format!("{name}: {error}"))
}

pub fn join(handle: Handle) -> super::Result {
    handle.join().map_err(text)
}

/// Gives way until something is true. At a safe point, or a transition would wait for this thread:
/// the worker comes with a tick, and finds each thread that is not asleep interrupted.
pub fn until(what: &str, mut is_true: impl FnMut() -> bool) -> super::Result {
    let limit = limit();
    while !is_true() {
        if arch::timebase() > limit {
            return Err(format!("{what}: not within {LIMIT:?}"));
        }
        thread::safe_point();
        thread::yield_now();
    }
    Ok(())
}

/// Waits for so many ticks, and lets others run.
pub fn let_ticks_come(count: u64) {
    let now = time::ticks();
    while time::ticks() < now + count {
        thread::yield_now();
        arch::wait();
    }
}

/// Attaches an ops to functions while `body` runs.
pub fn traced<T>(ops: &'static Ops, paths: &[&str], body: impl FnOnce() -> T) -> Result<T, String> {
    let attached = ftrace::register(ops, &Filter::only(paths));
    attached.map_err(|error| format!("{paths:?}: {error}"))?;
    let value = body();
    ftrace::unregister(ops).map_err(text)?;
    Ok(value)
}

/// An ops that counts, and remembers the last call.
pub struct Counter {
    pub ops: Ops,
    hits: AtomicU64,
    pub ip: AtomicU64,
    pub parent: AtomicU64,
    pub argument: AtomicU64,
}

/// Calls of all [`Counter`]s go through one callback, which finds its counter
/// around the ops.
extern "C" fn count(ip: u64, parent: u64, ops: &Ops, frame: &mut CallFrame) {
    let counter = core::ptr::from_ref(ops)
        .wrapping_byte_sub(core::mem::offset_of!(Counter, ops))
        .cast::<Counter>();
    // SAFETY: only `Counter::new` makes an ops with this callback, inside a
    // static Counter.
    let counter = unsafe { &*counter };
    counter.hits.fetch_add(1, Ordering::Relaxed);
    counter.ip.store(ip, Ordering::Relaxed);
    counter.parent.store(parent, Ordering::Relaxed);
    counter.argument.store(frame.gpr[3], Ordering::Relaxed);
}

impl Counter {
    pub const fn new(name: &'static str, flags: Flags) -> Self {
        Self {
            ops: Ops::new(name, count as Callback, flags),
            hits: AtomicU64::new(0),
            ip: AtomicU64::new(0),
            parent: AtomicU64::new(0),
            argument: AtomicU64::new(0),
        }
    }

    /// How often it was called since the last question.
    pub fn take(&self) -> u64 {
        self.hits.swap(0, Ordering::Relaxed)
    }
}
