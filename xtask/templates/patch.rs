//! Say here what this patch changes, and why.
#![no_std]

klp::module! {
    name: "my_patch",
    replaces: ["lab::targets::leaf" => leaf],
}

klp::replacement! {
    /// Four times a number, and one: the kernel's own takes it three times. Make it
    /// something else.
    pub extern "C" fn leaf(value: u64) -> u64 {
        value * 4 + 1
    }
}
