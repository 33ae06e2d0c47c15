//! Numbers for tests: the same seed gives the same numbers.

/// A small generator (Marsaglia's xorshift64). Its state must not be zero.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
