//! Exercise 3 (docs/exercises/03-together.md): a new cipher, of which only one half is
//! there.
#![no_std]

klp::module! {
    name: "exercise_together",
    replaces: ["selftest::exercises::seal" => seal],
}

/// The new key.
const KEY: u64 = 0x0123_4567_89ab_cdef;

klp::replacement! {
    /// Seals a message.
    pub extern "C" fn seal(message: u64) -> u64 {
        message.rotate_left(13) ^ KEY
    }
}
