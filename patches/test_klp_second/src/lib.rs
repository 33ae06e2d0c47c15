//! Another patch of the same two functions.
#![no_std]

klp::module! {
    name: "test_klp_second",
    replaces: [
        "lab::targets::live::one" => one,
        "lab::targets::live::two" => two,
    ],
}

klp::replacement! {
    /// 21 more.
    pub extern "C" fn one(value: u64) -> u64 {
        value.wrapping_add(21)
    }

    /// 22 more.
    pub extern "C" fn two(value: u64) -> u64 {
        value.wrapping_add(22)
    }
}
