//! A patch that says which of two functions of one path it replaces.
#![no_std]

klp::module! {
    name: "position",
    replaces: ["twins::same"[2] => same],
}

klp::replacement! {
    /// For the second by address.
    pub extern "C" fn same() -> u32 {
        3
    }
}
