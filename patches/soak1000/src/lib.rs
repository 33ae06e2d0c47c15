//! Replaces 1000 of the kernel's `bench_many_000` and following, to measure what that
//! costs.
#![no_std]

#[macro_use]
mod many;

replace_many!("soak1000", 1000);
