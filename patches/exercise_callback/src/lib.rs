//! Exercise 9 (docs/exercises/09-callbacks.md): all that is wanted flows, if the pump is
//! ready and the valve open.
#![no_std]

klp::module! {
    name: "exercise_callback",
    replaces: ["selftest::exercises::flow" => flow],
}

klp::replacement! {
    /// How much flows when so much is wanted.
    pub extern "C" fn flow(wanted: u64) -> u64 {
        wanted
    }
}
