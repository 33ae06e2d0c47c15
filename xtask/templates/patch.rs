//! Say here what this patch changes, and why.
#![no_std]

klp::module! {
    name: "my_patch",
    replaces: ["kernel::victims::leaf" => leaf],
}

klp::replacement! {
    /// Three times a number, and one, as the kernel's own. Make it something else.
    pub extern "C" fn leaf(value: u64) -> u64 {
        value * 3 + 1
    }
}
