//! Exercise 10 (docs/exercises/10-leave.md): waits for the bell, and for nothing else.
#![no_std]

klp::module! {
    name: "exercise_leave",
    replaces: ["selftest::exercises::wait_for_bell" => wait_for_bell],
}

unsafe extern "C" {
    /// Whether the bell rings.
    safe fn exercise_bell_rings() -> bool;
}

klp::replacement! {
    /// Waits until the bell rings. Returns 2, or 0 for one that has gone without having
    /// heard it.
    pub extern "C" fn wait_for_bell() -> u64 {
        while !exercise_bell_rings() {
            klp::thread::sleep(1);
        }
        2
    }
}
