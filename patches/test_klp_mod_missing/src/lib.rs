//! A patch of a function that the other module does not have.
#![no_std]

klp::module! {
    name: "test_klp_mod_missing",
    targets: ["test_klp_mod_target": { replaces: ["test_klp_mod_target::play" => play] }],
}

klp::replacement! {
    /// Never called.
    pub extern "C" fn play(value: u64) -> u64 {
        value
    }
}
