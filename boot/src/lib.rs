//! From the firmware's jump to the kernel's first Rust function.
//!
//! `entry.S` settles endianness, place, stack and TOC. What is left for Rust is
//! to get hold of a flattened device tree: either the caller gave one, as after
//! kexec, or the tree is read out of Open Firmware, node by node, and written
//! down flat. From there on the kernel knows one description of the machine and
//! no firmware.
//!
//! There is no allocator here and nothing is written to statics but the tree's
//! own buffer, so that the image can be entered a second time.
#![no_std]

mod client;
mod flatten;
mod second_entry;

use core::{fmt, slice};

pub use client::ClientError;
pub use flatten::FlattenError;

/// Which interface the kernel was entered through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entry {
    /// With the Open Firmware client interface in r5.
    OpenFirmware,
    /// With a flattened device tree in r3 and r5 = 0.
    FlatTree,
}

/// The byte order of the first instruction fetch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Endian {
    /// Big endian.
    Big,
    /// Little endian.
    Little,
}

/// Why there is no device tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BootError {
    /// r5 was zero, and r3 does not point at a flattened device tree.
    NoTree {
        /// What r3 held.
        address: u64,
        /// The word found there; `0xd00dfeed` was expected.
        magic: u32,
    },
    /// A tree could not be read out of Open Firmware.
    Flatten(FlattenError),
    /// No room to enter the image a second time.
    NoRoom,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTree { address, magic } => write!(
                f,
                "r5 is 0, but r3 = {address:#x} holds {magic:#010x}, not a flattened device tree (0xd00dfeed)"
            ),
            Self::Flatten(error) => write!(f, "reading the tree from Open Firmware: {error}"),
            Self::NoRoom => f.write_str("no free memory to enter the image a second time"),
        }
    }
}

/// What the boot stage hands to the kernel.
#[derive(Clone, Copy, Debug)]
pub struct BootInfo {
    /// The flattened device tree, which stays where it is.
    pub tree: Result<&'static [u8], BootError>,
    /// How the kernel was entered.
    pub entry: Entry,
    /// In which byte order.
    pub endian: Endian,
    /// RTAS's token for power-off (PAPR 7.3.9.1), where Open Firmware tells it: read
    /// first, for a tree that can't be read.
    pub power_off: Option<u32>,
}

unsafe extern "Rust" {
    /// The kernel's first function. The kernel's `main.rs` defines it.
    safe fn kernel_main(info: BootInfo) -> !;
}

/// Called by `_start` with the registers that it was entered with.
///
/// # Safety
/// Only `_start` may call this, once, on the boot stack: with `client` = 0,
/// `tree_or_initrd` is the address of a flattened device tree that does not
/// change any more; otherwise `client` is the Open Firmware client interface.
#[unsafe(no_mangle)]
unsafe extern "C" fn boot_main(
    tree_or_initrd: u64,
    initrd_size: u64,
    client: u64,
    big_endian: u64,
) -> ! {
    let endian = if big_endian == 0 {
        Endian::Little
    } else {
        Endian::Big
    };
    let (entry, power_off, tree) = if client == 0 {
        // SAFETY: r5 = 0 promises a tree at r3, which is this function's condition.
        (Entry::FlatTree, None, unsafe { given_tree(tree_or_initrd) })
    } else {
        // SAFETY: r5 is the client interface, says this function's condition.
        let client = unsafe { client::Client::new(client) };
        let registers = second_entry::Registers {
            r3: tree_or_initrd,
            r4: initrd_size,
        };
        (
            Entry::OpenFirmware,
            client.power_off().ok().flatten(),
            flatten::read(&client, endian, registers),
        )
    };
    kernel_main(BootInfo {
        tree,
        entry,
        endian,
        power_off,
    })
}

/// The tree at `address`, measured by its own header.
///
/// # Safety
/// `address` is zero or readable, and if a tree's magic number is there, the
/// whole tree is readable and never written again.
unsafe fn given_tree(address: u64) -> Result<&'static [u8], BootError> {
    const MAGIC: u32 = 0xd00d_feed;
    let header = address as *const [u32; 2];
    // SAFETY: readable says the caller; the read asks for no alignment.
    let [magic, size] = unsafe { header.read_unaligned() }.map(u32::from_be);
    if magic != MAGIC {
        return Err(BootError::NoTree { address, magic });
    }
    // SAFETY: the magic number is there, so the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts(address as *const u8, size as usize) })
}
