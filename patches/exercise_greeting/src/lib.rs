//! Exercise 1 (docs/exercises/01-greeting.md): another greeting.
#![no_std]

klp::module! {
    name: "exercise_greeting",
    replaces: ["selftest::exercises::greeting" => greeting],
}

unsafe extern "C" {
    /// Says `length` bytes of UTF-8 at `text`.
    fn exercise_say(text: *const u8, length: usize);
}

/// What the kernel says from now on.
const TEXT: &str = "Hello from the kernel.";

klp::replacement! {
    /// Says something friendly.
    pub extern "C" fn greeting() {
        // SAFETY: this text is UTF-8 of this length.
        unsafe { exercise_say(TEXT.as_ptr(), TEXT.len()) }
    }
}
