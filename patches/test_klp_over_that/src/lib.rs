//! A patch of another patch's replacement function, which is refused.
#![no_std]

klp::module! {
    name: "test_klp_over_that",
    targets: ["test_klp_livepatch": { replaces: ["test_klp_livepatch::one" => one] }],
}

klp::replacement! {
    /// 31 more.
    pub extern "C" fn one(value: u64) -> u64 {
        value.wrapping_add(31)
    }
}
