//! Exercise 8 (docs/exercises/08-cumulative.md): the second patch of a kernel that has
//! `two_percent` already.
#![no_std]

klp::module! {
    name: "exercise_cumulative",
    replaces: ["selftest::exercises::fee" => fee],
}

klp::replacement! {
    /// The fee for an amount: one percent, and at least 1.
    pub extern "C" fn fee(amount: u64) -> u64 {
        (amount / 100).max(1)
    }
}
