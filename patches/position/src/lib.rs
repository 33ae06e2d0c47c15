//! A patch that says which functions it means: the second of two that have one path, and
//! one of two that have the same body.
#![no_std]

klp::module! {
    name: "position",
    replaces: [
        "twins::same"[2] => same,
        "lab::targets::twin" => twin,
        "c_twin" => c_twin,
    ],
}

klp::replacement! {
    /// For the second by address.
    pub extern "C" fn same() -> u32 {
        3
    }

    /// One more than the old one returns.
    pub extern "C" fn twin(value: u64) -> u64 {
        value / 2 + 6
    }

    /// The same in C.
    pub extern "C" fn c_twin(value: i64) -> i64 {
        value * 2 + 6
    }
}
