//! The table's layout in memory, shared by the writer and the reader.

use core::fmt::{self, Write};

pub const MAGIC: [u8; 8] = *b"klp-syms";
pub const VERSION: u32 = 2;

/// Bytes of the header.
pub const HEADER: usize = 24;
/// Where the header's numbers are.
pub const AT_VERSION: usize = 8;
pub const AT_COUNT: usize = 12;
pub const AT_NAMES: usize = 16;
pub const AT_INDEX: usize = 20;

/// One symbol, undecoded.
pub type Entry = [u8; 24];
/// Where a symbol's numbers are.
pub const AT_ADDRESS: usize = 0;
pub const AT_SIZE: usize = 8;
pub const AT_NAME_END: usize = 16;
pub const AT_KIND: usize = 20;
pub const AT_GLOBAL: usize = 21;
pub const AT_LOCAL_ENTRY: usize = 22;
pub const AT_ZERO: usize = 23;

/// The 32-bit number at `at`, which must lie inside.
pub fn u32_at(bytes: &[u8; 24], at: usize) -> u32 {
    u32::from_le_bytes(core::array::from_fn(|i| bytes[at + i]))
}

/// The 64-bit number at `at`, which must lie inside.
pub fn u64_at(bytes: &[u8; 24], at: usize) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|i| bytes[at + i]))
}

/// One entry of the index, undecoded: the hash of a path or linker name, and
/// which symbol has it.
pub type IndexEntry = [u8; 8];

/// Hash and symbol of an index entry.
pub fn index_parts(entry: &IndexEntry) -> (u32, u32) {
    let number = |at: usize| u32::from_le_bytes(core::array::from_fn(|i| entry[at + i]));
    (number(0), number(4))
}

/// Hashes the text that is written to it (FNV-1a, 32 bits).
#[derive(Clone, Copy, Debug)]
pub struct Hasher(pub u32);

impl Hasher {
    /// The hash of what `text` displays.
    pub fn of(text: impl fmt::Display) -> u32 {
        let mut hasher = Self(0x811c_9dc5);
        // Nothing here can fail; a Display that does has nothing to say.
        let _ = write!(hasher, "{text}");
        hasher.0
    }
}

impl fmt::Write for Hasher {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
        Ok(())
    }
}
