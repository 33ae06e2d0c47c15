//! Functions to be traced and patched. Each counts its own calls, so that what a
//! tracer counts can be compared with something that it has not touched.

pub mod calls;
pub mod live;

use core::{
    ffi::{c_int, c_long},
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};
use klp::Pair;
use loader::export;

export! { rust_twice, c_leaf }

/// How often each of the Rust functions was called.
#[derive(Debug, Default)]
pub struct Calls {
    /// [`leaf`]
    pub leaf: AtomicU64,
    /// [`sum12`]
    pub sum12: AtomicU64,
    /// [`recursive`]
    pub recursive: AtomicU64,
    /// [`outer`]
    pub outer: AtomicU64,
    /// [`inner`]
    pub inner: AtomicU64,
    /// [`rust_twice`]
    pub twice: AtomicU64,
}

/// Counted by the functions themselves.
pub static CALLS: Calls = Calls {
    leaf: AtomicU64::new(0),
    sum12: AtomicU64::new(0),
    recursive: AtomicU64::new(0),
    outer: AtomicU64::new(0),
    inner: AtomicU64::new(0),
    twice: AtomicU64::new(0),
};

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Calls nothing.
#[inline(never)]
pub extern "C" fn leaf(value: u64) -> u64 {
    count(&CALLS.leaf);
    black_box(value) * 3 + 1
}

/// Takes four arguments more than fit in registers.
#[inline(never)]
pub extern "C" fn sum12(
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
    f: u64,
    g: u64,
    h: u64,
    i: u64,
    j: u64,
    k: u64,
    l: u64,
) -> u64 {
    count(&CALLS.sum12);
    let all = black_box([a, b, c, d, e, f, g, h, i, j, k, l]);
    all.iter()
        .zip(1..)
        .map(|(value, weight)| value * weight)
        .sum()
}

/// Calls itself `depth` times.
#[inline(never)]
pub fn recursive(depth: u64) -> u64 {
    count(&CALLS.recursive);
    if depth == 0 {
        1
    } else {
        black_box(recursive(black_box(depth - 1))) + depth
    }
}

/// Calls [`inner`]. Not by a tail call: with each function in a section of its
/// own, rustc makes none; gcc makes one in `c_tail`.
#[inline(never)]
pub fn outer(value: u64) -> u64 {
    count(&CALLS.outer);
    inner(value + 1)
}

/// Called by [`outer`].
#[inline(never)]
pub fn inner(value: u64) -> u64 {
    count(&CALLS.inner);
    black_box(value) * 5
}

/// Quotient and remainder, in two registers.
#[inline(never)]
pub extern "C" fn divide(value: u64, by: u64) -> Pair<u64, u64> {
    Pair {
        first: black_box(value) / by,
        second: value % by,
    }
}

/// The first number below `limit` that has the square `wanted`.
#[inline(never)]
pub extern "C" fn find(wanted: u64, limit: u64) -> i64 {
    (0..black_box(limit))
        .find(|number| number * number == wanted)
        .map_or(-1, |number| number as i64)
}

/// Has the same body as [`other_twin`], and is another function all the same.
#[inline(never)]
pub extern "C" fn twin(value: u64) -> u64 {
    black_box(value) / 2 + 5
}

/// As [`twin`].
#[inline(never)]
pub extern "C" fn other_twin(value: u64) -> u64 {
    black_box(value) / 2 + 5
}

/// Returns nothing.
#[inline(never)]
pub extern "C" fn nothing() {
    black_box(());
}

/// Returns a bool.
#[inline(never)]
pub extern "C" fn is_even(value: u32) -> bool {
    black_box(value) & 1 == 0
}

/// Too large for two registers: returned through a hidden pointer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Report {
    /// How often the module was called.
    pub calls: u64,
    /// Ticks since boot.
    pub ticks: u64,
    /// What was passed, and its double and triple.
    pub values: [u64; 3],
}

/// Returns a large struct.
#[inline(never)]
pub extern "C" fn report(value: u64) -> Report {
    Report {
        calls: 0,
        ticks: 0,
        values: black_box([value; 3]),
    }
}

/// Called from C.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn rust_twice(value: c_long) -> c_long {
    count(&CALLS.twice);
    2 * value
}

unsafe extern "C" {
    /// Three times a value, and one. A leaf without TOC set-up.
    pub safe fn c_leaf(value: c_long) -> c_long;
    /// A value, and how often this was called.
    pub safe fn c_counts(value: c_long) -> c_long;
    /// A weighted sum of ten.
    pub safe fn c_sum10(
        a: c_long,
        b: c_long,
        c: c_long,
        d: c_long,
        e: c_long,
        f: c_long,
        g: c_long,
        h: c_long,
        i: c_long,
        j: c_long,
    ) -> c_long;
    /// A polynomial of `count` values.
    ///
    /// # Safety
    /// `count` values of type `long` follow.
    pub fn c_variadic(count: c_int, ...) -> c_long;
    /// `c_leaf` of the next value, by a tail call.
    pub safe fn c_tail(value: c_long) -> c_long;
    /// Twice a value, and one, by way of Rust.
    pub safe fn c_into_rust(value: c_long) -> c_long;
    /// `c_twin` of a value, and a thousand times `c_other_twin`, which has the same body.
    pub safe fn c_twins(value: c_long) -> c_long;
    /// Is [`c_second_name`] too.
    pub safe fn c_first_name(value: c_long) -> c_long;
    /// Is [`c_first_name`] too.
    pub safe fn c_second_name(value: c_long) -> c_long;
}

/// Calls every target, and folds their results into one number: the same one every time
/// but for [`c_counts`], which is called and left out.
#[inline(never)]
pub fn workload(seed: u64) -> u64 {
    let small = (seed % 100) as c_long;
    c_counts(small);
    nothing();
    // SAFETY: five longs follow.
    let variadic = unsafe { c_variadic(5, small, 2 * small, -small, 7 as c_long, small + 1) };
    [
        leaf(seed),
        sum12(1, 2, 3, seed, 5, 6, 7, 8, 9, seed, 11, 12),
        recursive(seed % 7),
        outer(seed),
        c_leaf(small) as u64,
        c_sum10(1, 2, 3, small, 5, 6, 7, 8, 9, small) as u64,
        variadic as u64,
        c_tail(small) as u64,
        c_into_rust(small) as u64,
        divide(seed, 7).second,
        find(seed % 50, 8) as u64,
        u64::from(is_even(seed as u32)),
        report(seed).values[2],
    ]
    .iter()
    .fold(seed, |sum, value| sum.rotate_left(5) ^ value)
}
