//! An ordinary module with functions that call each other, and the kernel's, for the
//! conformance cases to patch what they call.
#![no_std]

use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

klp::module! {
    name: "cases-target",
    provides: [outer, calls_kernel, calls_inside, waits],
}

unsafe extern "C" {
    safe fn lab_leaf(value: u64) -> u64;
    safe fn lab_inside(value: u64) -> u64;
    safe fn lab_wait_for(flag: &AtomicU64);
}

/// What the functions add behind the call, which takes this module's own TOC.
static MORE: AtomicU64 = AtomicU64::new(70_000);

/// A: calls B locally.
pub extern "C" fn outer(value: u64) -> u64 {
    inner(black_box(value)) + black_box(&MORE).load(Ordering::Relaxed)
}

/// B.
#[inline(never)]
pub extern "C" fn inner(value: u64) -> u64 {
    black_box(value) + black_box(&MORE).load(Ordering::Relaxed)
}

/// A: calls a function of the kernel's.
pub extern "C" fn calls_kernel(value: u64) -> u64 {
    lab_leaf(black_box(value)) + black_box(&MORE).load(Ordering::Relaxed)
}

/// A: calls a function of the kernel's with a replacement that waits.
pub extern "C" fn calls_inside(value: u64) -> u64 {
    lab_inside(black_box(value)) + black_box(&MORE).load(Ordering::Relaxed)
}

/// A: calls a leaf of the kernel's that opens no frame, and stays in it until a flag is
/// not zero.
pub extern "C" fn waits(flag: &AtomicU64) -> u64 {
    lab_wait_for(flag);
    black_box(&MORE).load(Ordering::Relaxed)
}
