//! Functions for the tests of live patching, and what those tests share with the
//! test patches (`patches/test_klp_*`): a gate to stay at, notes, a system state.

use alloc::{format, string::String, vec::Vec};
use core::{
    hint::black_box,
    slice, str,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};
use loader::export;
use machine::sync::{Hook, IrqLock};
use thread::WaitQueue;

export! { test_note, test_stay, test_level }

/// One more.
#[inline(never)]
pub extern "C" fn one(value: u64) -> u64 {
    black_box(value) + 1
}

/// Two more.
#[inline(never)]
pub extern "C" fn two(value: u64) -> u64 {
    black_box(value) + 2
}

/// Three more.
#[inline(never)]
pub extern "C" fn three(value: u64) -> u64 {
    black_box(value) + 3
}

/// Stays at the gate, in the way that [`test_stay`] takes, `depth` calls of its own
/// further down. Returns 1; a replacement returns something else.
#[inline(never)]
pub extern "C" fn stays(how: u64, depth: u64) -> u64 {
    if depth == 0 {
        test_stay(how);
        black_box(1)
    } else {
        black_box(stays(black_box(how), black_box(depth - 1)))
    }
}

/// Does nothing bad; its replacement does, for values above 0.
#[inline(never)]
pub extern "C" fn faulty(kind: u64) -> u64 {
    black_box(kind)
}

/// Knows no way to annotate an object: returns -1. `object` is never looked at.
#[inline(never)]
pub extern "C" fn annotate(object: u64, what: u64, value: u64) -> i64 {
    black_box((object, what, value));
    // Or the compiler tells the callers what they get, and they don't look.
    black_box(-1)
}

/// How a thread stays at the gate: asleep.
pub const ASLEEP: u64 = 0;
/// Awake: it passes safe points and lets others run.
pub const AT_SAFE_POINTS: u64 = 1;
/// Awake, and never gives way by itself.
pub const SPINNING: u64 = 2;
/// It does not stay, and runs what [`at_gate`] has set.
pub const CALLING: u64 = 3;

static OPEN: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static SAFE_POINTS: AtomicU64 = AtomicU64::new(0);
static CHANGED: WaitQueue = WaitQueue::new();
static AT_GATE: Hook<fn()> = Hook::new();

/// Sets what a thread that comes by [`CALLING`] runs.
pub fn at_gate(hook: Option<fn()>) {
    AT_GATE.set(hook);
}

/// Stays at the gate until it is open. Exported to modules.
pub extern "C" fn test_stay(how: u64) {
    if how == CALLING {
        if let Some(hook) = AT_GATE.get() {
            hook();
        }
        return;
    }
    INSIDE.fetch_add(1, Ordering::Relaxed);
    CHANGED.wake_all();
    let is_open = || OPEN.load(Ordering::Relaxed);
    match how {
        ASLEEP => CHANGED.wait_until(is_open),
        AT_SAFE_POINTS => {
            while !is_open() {
                thread::safe_point();
                SAFE_POINTS.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
            }
        }
        _ => {
            while !is_open() {
                core::hint::spin_loop();
            }
        }
    }
    INSIDE.fetch_sub(1, Ordering::Relaxed);
}

/// Closes the gate.
pub fn close() {
    OPEN.store(false, Ordering::Relaxed);
}

/// Opens the gate.
pub fn open() {
    OPEN.store(true, Ordering::Relaxed);
    CHANGED.wake_all();
}

/// Waits until so many threads stay at the gate.
pub fn wait_inside(count: usize) {
    CHANGED.wait_until(|| INSIDE.load(Ordering::Relaxed) == count);
}

/// How many safe points threads have passed at the gate since boot.
#[must_use]
pub fn safe_points() -> u64 {
    SAFE_POINTS.load(Ordering::Relaxed)
}

static NOTES: IrqLock<Vec<String>> = IrqLock::new(Vec::new());
static ON_NOTE: IrqLock<Option<fn(&str)>> = IrqLock::new(None);

/// Prints `MODULE: EVENT: OBJECT` and keeps it. Exported to modules: it is for their
/// callbacks.
pub extern "C" fn test_note(
    module: *const u8,
    module_length: usize,
    event: *const u8,
    event_length: usize,
    object: *const u8,
    object_length: usize,
) {
    let text = |start, length| {
        // SAFETY: a module passes text of its own.
        let bytes = unsafe { slice::from_raw_parts(start, length) };
        str::from_utf8(bytes).unwrap_or("(not UTF-8)")
    };
    let note = format!(
        "{}: {}: {}",
        text(module, module_length),
        text(event, event_length),
        text(object, object_length)
    );
    if !QUIET.load(Ordering::Relaxed) {
        println!("{note}");
    }
    let hook = *ON_NOTE.lock();
    if let Some(hook) = hook {
        hook(&note);
    }
    NOTES.lock().push(note);
}

static QUIET: AtomicBool = AtomicBool::new(false);

/// Says whether notes are kept and not printed.
pub fn be_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// The notes since the last question.
#[must_use]
pub fn take_notes() -> Vec<String> {
    core::mem::take(&mut *NOTES.lock())
}

/// Sets what runs at every note, in whatever context takes it: a callback's.
pub fn on_note(hook: Option<fn(&str)>) {
    *ON_NOTE.lock() = hook;
}

/// What the log level is on Linux: something of the system's that callbacks change.
static LEVEL: AtomicU64 = AtomicU64::new(LEVEL_AT_REST);

/// The system state that no patch has changed.
pub const LEVEL_AT_REST: u64 = 7;

/// Sets the system state, and returns what it was. Exported to modules.
pub extern "C" fn test_level(level: u64) -> u64 {
    LEVEL.swap(level, Ordering::Relaxed)
}

/// The system state.
#[must_use]
pub fn level() -> u64 {
    LEVEL.load(Ordering::Relaxed)
}
