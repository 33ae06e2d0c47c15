//! What the threads call, and patches `soak` and `soak2` replace.
//!
//! A version's results are its number times [`MARK`] above the original's, so a
//! caller sees which one has run. Each version counts its calls.

use crate::targets;
use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

/// How far apart the results of two versions are.
pub const MARK: u64 = 1000;

/// How many functions are replaced.
pub const FUNCTIONS: usize = 7;

/// Their names, in the order in which they are counted.
pub const NAMES: [&str; FUNCTIONS] = [
    "direct",
    "pointer",
    "recursive",
    "sum12",
    "c_leaf",
    "c_into_rust",
    "slow",
];

/// The functions that are called for the soak alone.
pub const OWN: [usize; 4] = [0, 1, 2, SLOW];

/// `slow` calls another function of its own version twice.
pub const SLOW: usize = 6;

/// How often `recursive` is called in one call of it.
pub const LEVELS: u64 = 4;

/// How often a function of a version was called, by its threads and by functions of the same version.
pub fn called(function: usize, by_threads: impl Fn(usize) -> u64) -> u64 {
    let own = by_threads(function);
    match NAMES[function] {
        "direct" => own + 2 * by_threads(SLOW),
        "recursive" => own * LEVELS,
        _ => own,
    }
}

/// Hands out the functions' addresses, where the compiler can't follow them. Of a
/// function that it sees all calls of, it may change how arguments are passed, or pass
/// none that is always the same: a replacement would not find them.
pub fn keep() {
    black_box([
        direct as *const (),
        pointer as *const (),
        recursive as *const (),
        slow as *const (),
    ]);
}

/// Calls of the originals; not of those in C, which don't count.
static COUNTS: [AtomicU64; FUNCTIONS] = [const { AtomicU64::new(0) }; FUNCTIONS];

fn count(function: usize) {
    COUNTS[function].fetch_add(1, Ordering::Relaxed);
}

/// How often an original was called; nothing if it does not know.
pub fn counted(function: usize) -> Option<u64> {
    let counts = &COUNTS[function];
    match NAMES[function] {
        "c_leaf" => None,
        "sum12" => Some(targets::CALLS.sum12.load(Ordering::Relaxed)),
        // Whatever it calls counts for it.
        "c_into_rust" => Some(targets::CALLS.twice.load(Ordering::Relaxed)),
        _ => Some(counts.load(Ordering::Relaxed)),
    }
}

/// A leaf.
#[inline(never)]
pub extern "C" fn direct(value: u64) -> u64 {
    count(0);
    black_box(value) * 3
}

/// The same, for calls by pointer.
#[inline(never)]
pub extern "C" fn pointer(value: u64) -> u64 {
    count(1);
    black_box(value) * 5
}

/// Every level goes through the site, and adds its own bit: if one of them were
/// another version, so would be the result.
#[inline(never)]
pub extern "C" fn recursive(depth: u64) -> u64 {
    count(2);
    if depth == 0 {
        1
    } else {
        black_box(recursive(black_box(depth - 1))) * 2 + 1
    }
}

/// Gives way between two calls of [`direct`]: as long as this is on its stack, a
/// thread can't switch, so both must be the original.
#[inline(never)]
pub extern "C" fn slow(value: u64) -> u64 {
    count(SLOW);
    let one = direct(value);
    thread::yield_now();
    let other = direct(value);
    if one == other && one == value * 3 {
        value * 11
    } else {
        u64::MAX
    }
}
