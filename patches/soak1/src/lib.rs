//! Replaces 1 of the kernel's `bench_many_000` and following, to measure what that
//! costs.
#![no_std]

#[path = "../../soak1000/src/many.rs"]
#[macro_use]
mod many;

replace_many!("soak1", 1);
