//! Say here what this patch changes, and why.
#![no_std]

klp::module! {
    name: "my_patch",
    replaces: ["demo::bank::balance" => balance],
}

klp::replacement! {
    /// What an account holds after so many years, at one percent without compound interest,
    /// which the kernel's own adds. Make it something else.
    pub extern "C" fn balance(_account: u64, years: u64) -> u64 {
        10_000 + 100 * years
    }
}
