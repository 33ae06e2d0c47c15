//! A patch that shares one function with the plain one. Its tests set the flag that
//! makes it replace all others.
#![no_std]

klp::module! {
    name: "test_klp_atomic_replace",
    replaces: [
        "lab::targets::live::two" => two,
        "lab::targets::live::three" => three,
    ],
}

klp::replacement! {
    /// 32 more.
    pub extern "C" fn two(value: u64) -> u64 {
        value.wrapping_add(32)
    }

    /// 33 more.
    pub extern "C" fn three(value: u64) -> u64 {
        value.wrapping_add(33)
    }
}
