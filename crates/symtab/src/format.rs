//! The table's layout in memory, shared by the writer and the reader.

pub const MAGIC: [u8; 8] = *b"klp-syms";
pub const VERSION: u32 = 1;

/// Bytes of the header.
pub const HEADER: usize = 24;
/// Where the header's numbers are.
pub const AT_VERSION: usize = 8;
pub const AT_COUNT: usize = 12;
pub const AT_NAMES: usize = 16;
pub const AT_RESERVED: usize = 20;

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
