//! A patch that must be refused: two functions have the path that it replaces.
#![no_std]

klp::module! {
    name: "ambiguous",
    replaces: ["twins::same" => same],
}

klp::replacement! {
    /// Never called.
    pub extern "C" fn same() -> u32 {
        3
    }
}
