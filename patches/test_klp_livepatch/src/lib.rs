//! A plain patch of two functions.
#![no_std]

klp::module! {
    name: "test_klp_livepatch",
    replaces: [
        "lab::targets::live::one" => one,
        "lab::targets::live::two" => two,
    ],
}

klp::replacement! {
    /// 11 more.
    pub extern "C" fn one(value: u64) -> u64 {
        value.wrapping_add(11)
    }

    /// 12 more.
    pub extern "C" fn two(value: u64) -> u64 {
        value.wrapping_add(12)
    }
}
