//! Enters the image a second time, the way another loader would.
//!
//! QEMU's firmwares enter in big endian and through Open Firmware only. So
//! that the other ways in are run and not just written, the boot argument
//! `reenter=` makes the boot stage copy the image to an address that it is not
//! linked for and jump there.

use crate::{BootError, Endian, client::Client};
use core::{ptr, slice};

/// What the firmware left in the registers that describe the initrd.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    /// r3: where the initrd starts.
    pub r3: u64,
    /// r4: its size in bytes.
    pub r4: u64,
}

/// Where the copy of the image goes: above the linked image and anything that
/// QEMU loads behind it, below the 128 MiB of the smallest machine.
const IMAGE_COPY: u64 = 80 << 20;
/// Where the device tree goes.
const TREE_COPY: u64 = 96 << 20;
/// End of what this module writes to.
const END: u64 = 112 << 20;

/// Machine state for the second entry: 64-bit, machine checks on.
const MSR_BIG: u64 = (1 << 63) | (1 << 12);
const MSR_LITTLE: u64 = MSR_BIG | 1;

unsafe extern "C" {
    static _start: u8;
    static __image_end: u8;
    /// `entry.S`: jumps to `entry` in machine state `msr`.
    fn reenter(r3: u64, r4: u64, r5: u64, entry: u64, msr: u64) -> !;
}

/// Copies the image and returns the copy's entry point.
fn copy_image(registers: Registers) -> Result<u64, BootError> {
    let (start, end) = (&raw const _start, &raw const __image_end);
    let initrd = registers.r3..registers.r3.saturating_add(registers.r4);
    let overlaps = initrd.start < END && IMAGE_COPY < initrd.end && registers.r4 != 0;
    if overlaps || end.addr() as u64 > IMAGE_COPY {
        return Err(BootError::NoRoom);
    }
    // SAFETY: the linker script puts the loaded image between the two symbols.
    // The destination is memory that nothing uses: above the kernel, clear of
    // the initrd, and inside the smallest machine that is supported.
    unsafe {
        let image = slice::from_raw_parts(start, end.addr() - start.addr());
        ptr::copy_nonoverlapping(image.as_ptr(), IMAGE_COPY as *mut u8, image.len());
    }
    Ok(IMAGE_COPY)
}

/// Enters the copy in little endian, with everything else as the firmware left it.
pub fn through_firmware(client: &Client, registers: Registers) -> Result<(), BootError> {
    let entry = copy_image(registers)?;
    // SAFETY: the copy is a kernel image; it is entered as firmware would.
    unsafe {
        reenter(
            registers.r3,
            registers.r4,
            client.entry(),
            entry,
            MSR_LITTLE,
        )
    }
}

/// Enters the copy as kexec does: r3 = the tree, r5 = 0.
pub fn with_tree(tree: &[u8], registers: Registers, endian: Endian) -> Result<(), BootError> {
    let entry = copy_image(registers)?;
    let msr = if endian == Endian::Big {
        MSR_BIG
    } else {
        MSR_LITTLE
    };
    // SAFETY: the destination is free memory, as in `copy_image`, and the tree
    // fits below END, since its buffer is smaller than that. The copy of the
    // image is entered with what its contract asks for.
    unsafe {
        ptr::copy_nonoverlapping(tree.as_ptr(), TREE_COPY as *mut u8, tree.len());
        reenter(TREE_COPY, entry, 0, entry, msr)
    }
}
