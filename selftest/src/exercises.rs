//! What the exercises are about (docs/exercises): functions for a reader's patches to
//! replace, and what those patches may call.
//!
//! Whether a patch does what its exercise asks is judged in `selftest::exercises`.

use alloc::string::String;
use core::{
    hint::black_box,
    slice, str,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use loader::export;
use machine::sync::IrqLock;
use thread::WaitQueue;

export! {
    exercise_say,
    exercise_note_toll,
    exercise_pump_is_ready,
    exercise_open_valve,
    exercise_close_valve,
    exercise_bell_rings,
}

/// What was said last.
static SAID: IrqLock<Option<String>> = IrqLock::new(None);

/// Exercise 1: says something friendly.
#[inline(never)]
pub extern "C" fn greeting() {
    let text = black_box("Hello from the kernel.");
    // SAFETY: this text is UTF-8 of this length.
    unsafe { exercise_say(text.as_ptr(), text.len()) }
}

/// What [`exercise_say`] makes of bytes that are no text.
pub const NO_TEXT: &str = "(not UTF-8)";

/// Prints `length` bytes of UTF-8 at `text`, on a line, and remembers them. Exported to
/// modules.
///
/// # Safety
/// `length` readable bytes are at `text`.
pub unsafe extern "C" fn exercise_say(text: *const u8, length: usize) {
    // SAFETY: as the caller promises.
    let bytes = unsafe { slice::from_raw_parts(text, length) };
    let text = str::from_utf8(bytes).unwrap_or(NO_TEXT);
    println!("{text}");
    *SAID.lock() = Some(text.into());
}

/// What was said since the last question, if anything was.
pub fn take_said() -> Option<String> {
    SAID.lock().take()
}

/// The key of the cipher that [`seal`] and [`open`] share.
const KEY: u64 = 0x1f2e_3d4c_5b6a_7988;

/// Exercise 3: seals a message. (Were the two functions alike, the compiler would make one
/// of them, and no patch could tell them apart.)
#[inline(never)]
pub extern "C" fn seal(message: u64) -> u64 {
    black_box(message).wrapping_add(KEY)
}

/// Opens what [`seal`] has sealed.
#[inline(never)]
pub extern "C" fn open(sealed: u64) -> u64 {
    black_box(sealed).wrapping_sub(KEY)
}

/// Tolls that were noted, all together.
static NOTED: AtomicU64 = AtomicU64::new(0);

/// Exercise 6: what a vehicle pays.
#[inline(never)]
pub extern "C" fn toll(axles: u64, weight: u64) -> u64 {
    black_box(axles) * 2 + black_box(weight)
}

/// Notes a toll. Exported to modules.
pub extern "C" fn exercise_note_toll(toll: u64) {
    NOTED.fetch_add(toll, Ordering::Relaxed);
}

/// All tolls that were noted since the last question.
pub fn take_noted() -> u64 {
    NOTED.swap(0, Ordering::Relaxed)
}

/// Exercise 7: the how-manieth visit of this visitor it is. The address of its record
/// identifies a visitor. The record has no room for a number, so that is not known: 0.
#[inline(never)]
pub extern "C" fn visit(visitor: u64) -> u64 {
    black_box(visitor);
    black_box(0)
}

/// Exercise 8: the fee for an amount, one percent. Nothing, for less than a hundred.
#[inline(never)]
pub extern "C" fn fee(amount: u64) -> u64 {
    black_box(amount) / 100
}

/// Whether the pump is ready.
static READY: AtomicBool = AtomicBool::new(false);
/// How often the valve was opened.
static OPENED: AtomicU64 = AtomicU64::new(0);
/// How often it was closed.
static CLOSED: AtomicU64 = AtomicU64::new(0);

/// Exercise 9: how much flows by itself when so much is wanted: half of it.
#[inline(never)]
pub extern "C" fn flow(wanted: u64) -> u64 {
    black_box(wanted) / 2
}

/// Whether the pump is ready. Exported to modules.
pub extern "C" fn exercise_pump_is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}

/// Opens the valve. Exported to modules.
pub extern "C" fn exercise_open_valve() {
    OPENED.fetch_add(1, Ordering::Relaxed);
}

/// Closes the valve. Exported to modules.
pub extern "C" fn exercise_close_valve() {
    CLOSED.fetch_add(1, Ordering::Relaxed);
}

/// Says whether the pump is ready from now on.
pub fn set_pump_ready(ready: bool) {
    READY.store(ready, Ordering::Relaxed);
}

/// How often the valve was opened and closed since the last question.
pub fn take_valve() -> (u64, u64) {
    let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
    (take(&OPENED), take(&CLOSED))
}

static RINGS: AtomicBool = AtomicBool::new(false);
static RANG: WaitQueue = WaitQueue::new();
static LOOKS: AtomicU64 = AtomicU64::new(0);

/// Exercise 10: waits until the bell rings. Returns 1; its replacement returns 2, or 0
/// for one that has gone without having heard the bell.
#[inline(never)]
pub extern "C" fn wait_for_bell() -> u64 {
    RANG.wait_until(|| exercise_bell_rings());
    black_box(1)
}

/// Whether the bell rings. Exported to modules.
pub extern "C" fn exercise_bell_rings() -> bool {
    LOOKS.fetch_add(1, Ordering::Relaxed);
    RINGS.load(Ordering::Relaxed)
}

/// Rings the bell, or lets it be silent.
pub fn ring(rings: bool) {
    RINGS.store(rings, Ordering::Relaxed);
    RANG.wake_all();
}

/// How often a thread has listened to the bell since boot.
#[must_use]
pub fn looks() -> u64 {
    LOOKS.load(Ordering::Relaxed)
}
