//! Loading, for tests.

use modload::{LoadError, Module, Placed};

/// Where most tests place a module.
pub const BASE: u64 = 0x1000_0000;
/// A function that [`resolve`] knows, and data.
pub const OUTER: u64 = 0xc000_1234_5678_9abc;
pub const DATA: u64 = 0x1234_5678;

/// What the outside defines for most tests.
pub fn resolve(name: &str) -> Option<u64> {
    match name {
        "outer" => Some(OUTER),
        "other" => Some(0x2000_0000),
        "data" | "table" => Some(DATA),
        _ => None,
    }
}

/// A module in memory.
pub struct Memory<'a> {
    pub placed: Placed<'a>,
    pub image: Vec<u8>,
}

/// Loads a file at [`BASE`]. The memory was not clean before.
pub fn load_with(
    file: &[u8],
    resolve: impl FnMut(&str) -> Option<u64>,
) -> Result<Memory<'_>, LoadError<'_>> {
    let module = Module::parse(file)?;
    let mut image = vec![0xa5; module.size()];
    let placed = module.place(BASE, &mut image, resolve)?;
    Ok(Memory { placed, image })
}

pub fn load(file: &[u8]) -> Result<Memory<'_>, LoadError<'_>> {
    load_with(file, resolve)
}

/// What is wrong with a file that must be refused.
pub fn refused(file: &[u8]) -> LoadError<'_> {
    match load(file) {
        Ok(_) => panic!("loaded, and should have been refused"),
        Err(error) => error,
    }
}

impl Memory<'_> {
    pub fn bytes<const N: usize>(&self, address: u64) -> [u8; N] {
        let at = (address - BASE) as usize;
        self.image[at..at + N].try_into().unwrap()
    }

    pub fn word(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.bytes(address))
    }

    pub fn doubleword(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.bytes(address))
    }

    /// Where the branch at an address goes, be it conditional or not.
    pub fn target(&self, address: u64) -> u64 {
        let word = self.word(address);
        if word >> 26 == 16 {
            let displacement = (word as u16 & 0xfffc).cast_signed();
            return address.wrapping_add_signed(displacement.into());
        }
        match ppc64::insn::branch_target(address, word) {
            Some(branch) => branch.target,
            None => panic!("no branch at {address:#x}: {word:#010x}"),
        }
    }
}
