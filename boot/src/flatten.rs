//! Reads the firmware's device tree and writes it down flat.

use crate::{
    BootError, Endian,
    client::{Client, ClientError, Phandle, PropertyName},
    second_entry::{self, Registers},
};
use bootargs::Reenter;
use core::{cell::UnsafeCell, ffi::CStr, fmt, mem::MaybeUninit, slice};
use flattree::Writer;

/// Size of the buffer for the tree, in bytes. A tree of QEMU's with one CPU
/// takes about 10 KiB.
const TREE_BYTES: usize = 512 * 1024;
/// Size of the buffer for property names.
const STRING_BYTES: usize = 32 * 1024;
/// How deep the tree may be.
const DEPTH: usize = 16;
/// Longest path of a node.
const PATH_BYTES: usize = 512;
/// Longest boot argument line.
const BOOTARGS_BYTES: usize = 2048;

/// Why the tree could not be written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FlattenError {
    /// The firmware refused a call.
    Client(ClientError),
    /// The tree does not fit, or is malformed.
    Write(flattree::Error),
    /// The firmware has no root node.
    NoRoot,
    /// The tree is deeper than the given number of levels.
    TooDeep(usize),
    /// A node's path is longer than the given number of bytes.
    LongPath(usize),
    /// A property's name is not UTF-8, or too long.
    BadPropertyName,
    /// The boot arguments are longer than the given number of bytes, or not
    /// UTF-8.
    Bootargs(usize),
}

impl fmt::Display for FlattenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
            Self::NoRoot => f.write_str("there is no root node"),
            Self::TooDeep(levels) => write!(f, "the tree has more than {levels} levels"),
            Self::LongPath(bytes) => write!(f, "a path is longer than {bytes} bytes"),
            Self::BadPropertyName => f.write_str("a property's name is not UTF-8 or too long"),
            Self::Bootargs(bytes) => {
                write!(
                    f,
                    "the boot arguments are not UTF-8 or longer than {bytes} bytes"
                )
            }
        }
    }
}

impl From<ClientError> for FlattenError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<flattree::Error> for FlattenError {
    fn from(error: flattree::Error) -> Self {
        Self::Write(error)
    }
}

impl From<FlattenError> for BootError {
    fn from(error: FlattenError) -> Self {
        Self::Flatten(error)
    }
}

/// Memory that `_start` does not clear: the tree is in it when the image is
/// entered, and the kernel reads it to the end of the run.
struct Buffer<const N: usize>(UnsafeCell<MaybeUninit<[u8; N]>>);

// SAFETY: only `read` touches the buffers, and it runs once, on one CPU,
// before there are interrupts.
unsafe impl<const N: usize> Sync for Buffer<N> {}

#[unsafe(link_section = ".noinit")]
static TREE: Buffer<TREE_BYTES> = Buffer(UnsafeCell::new(MaybeUninit::uninit()));
#[unsafe(link_section = ".noinit")]
static STRINGS: Buffer<STRING_BYTES> = Buffer(UnsafeCell::new(MaybeUninit::uninit()));

impl<const N: usize> Buffer<N> {
    /// The buffer, zeroed.
    ///
    /// # Safety
    /// No other reference to it may exist.
    #[allow(
        clippy::mut_from_ref,
        reason = "that there is only one is the caller's promise"
    )]
    unsafe fn take(&'static self) -> &'static mut [u8] {
        let start = self.0.get().cast::<u8>();
        // SAFETY: `start` points to N bytes, zeroed before the reference is
        // made; the caller promises that the reference is the only one.
        unsafe {
            start.write_bytes(0, N);
            slice::from_raw_parts_mut(start, N)
        }
    }
}

/// Reads the whole tree. Enters the image a second time instead, if the boot
/// arguments ask for it.
pub fn read(
    client: &Client,
    endian: Endian,
    registers: Registers,
) -> Result<&'static [u8], BootError> {
    let mut line = [0; BOOTARGS_BYTES];
    let bootargs = boot_arguments(client, &mut line)?;
    let reenter = bootargs::parse(bootargs)
        .ok()
        .and_then(|arguments| arguments.reenter);
    if reenter == Some(Reenter::LittleEndian) && endian == Endian::Big {
        second_entry::through_firmware(client, registers)?;
    }

    // SAFETY: boot_main runs once and calls this once.
    let (tree, strings) = unsafe { (TREE.take(), STRINGS.take()) };
    let mut writer = Writer::new(tree, strings).map_err(FlattenError::Write)?;
    let mut walk = Walk {
        client,
        writer: &mut writer,
        registers,
        bootargs,
    };
    let root = client
        .root()
        .map_err(FlattenError::Client)?
        .ok_or(FlattenError::NoRoot)?;
    walk.node(root, 0)?;
    client.quiesce().map_err(FlattenError::Client)?;
    let tree = writer.finish(0).map_err(FlattenError::Write)?;

    match reenter {
        Some(Reenter::FlatTree) => second_entry::with_tree(tree, registers, Endian::Little)?,
        Some(Reenter::FlatTreeBigEndian) => second_entry::with_tree(tree, registers, Endian::Big)?,
        Some(Reenter::LittleEndian) | None => {}
    }
    Ok(tree)
}

/// The boot arguments, without the zero at the end.
fn boot_arguments<'a>(client: &Client, line: &'a mut [u8]) -> Result<&'a str, FlattenError> {
    let too_long = FlattenError::Bootargs(line.len());
    let Some(chosen) = client.find(c"/chosen")? else {
        return Ok("");
    };
    let Some(length) = client.property(chosen, c"bootargs", line)? else {
        return Ok("");
    };
    let line = line.get(..length).ok_or(too_long)?;
    let line = core::str::from_utf8(line).map_err(|_| too_long)?;
    Ok(line.trim_end_matches('\0'))
}

/// What the walk needs at every node.
struct Walk<'a, 'b> {
    client: &'a Client,
    writer: &'a mut Writer<'b>,
    registers: Registers,
    bootargs: &'a str,
}

impl Walk<'_, '_> {
    /// Writes a node and all below it.
    fn node(&mut self, node: Phandle, depth: usize) -> Result<(), FlattenError> {
        if depth == DEPTH {
            return Err(FlattenError::TooDeep(DEPTH));
        }
        let chosen = self.begin(node, depth)?;
        self.properties(node, chosen)?;
        let mut child = self.client.child(node)?;
        while let Some(node) = child {
            self.node(node, depth + 1)?;
            child = self.client.peer(node)?;
        }
        Ok(self.writer.end_node()?)
    }

    /// Writes a node's name. The `name` property has no unit address, so it is
    /// taken from the path. True for `/chosen`.
    #[inline(never)] // keeps the path out of the recursion's frames
    fn begin(&mut self, node: Phandle, depth: usize) -> Result<bool, FlattenError> {
        let mut path = [0; PATH_BYTES];
        let path = self
            .client
            .path(node, &mut path)?
            .and_then(|path| core::str::from_utf8(path).ok())
            .ok_or(FlattenError::LongPath(PATH_BYTES))?;
        let name = if depth == 0 {
            ""
        } else {
            path.rsplit('/').next().unwrap_or(path)
        };
        self.writer.begin_node(name)?;
        Ok(path == "/chosen")
    }

    fn properties(&mut self, node: Phandle, chosen: bool) -> Result<(), FlattenError> {
        let mut has_phandle = false;
        let mut has_initrd = false;
        let mut has_stdout = false;
        let mut previous: PropertyName = [0; _];
        let mut next: PropertyName = [0; _];
        while self.client.next_property(node, &previous, &mut next)? {
            previous = next;
            let name = CStr::from_bytes_until_nul(&next).ok();
            let (Some(name), Some(Ok(text))) = (name, name.map(CStr::to_str)) else {
                return Err(FlattenError::BadPropertyName);
            };
            has_phandle |= text == "phandle";
            has_initrd |= text == "linux,initrd-start";
            has_stdout |= text == "linux,stdout-path";
            // The node's name is in the structure, and bootargs come below.
            if text == "name" || (chosen && text == "bootargs") {
                continue;
            }
            let Some(length) = self.client.property_length(node, name)? else {
                continue;
            };
            let mut result = Ok(None);
            self.writer.property_with(text, length, |value| {
                result = self.client.property(node, name, value);
            })?;
            result?;
        }
        if !has_phandle {
            self.writer.property("phandle", &node.0.to_be_bytes())?;
        }
        if chosen {
            self.chosen(node, has_initrd, has_stdout)?;
        }
        Ok(())
    }

    /// What a flattened `/chosen` has, and the firmware's has not.
    #[inline(never)] // keeps the path out of the recursion's frames
    fn chosen(
        &mut self,
        chosen: Phandle,
        has_initrd: bool,
        has_stdout: bool,
    ) -> Result<(), FlattenError> {
        let mut line = [0; BOOTARGS_BYTES];
        let mut used = 0;
        for word in bootargs::without_reenter(self.bootargs) {
            // Fits, because it is a part of what came from such a buffer.
            line[used..used + word.len()].copy_from_slice(word.as_bytes());
            used += word.len();
            line[used] = b' ';
            used += 1;
        }
        line[used.saturating_sub(1)] = 0;
        self.writer.property("bootargs", &line[..used.max(1)])?;

        if !has_initrd && self.registers.r4 != 0 {
            let (start, size) = (self.registers.r3, self.registers.r4);
            self.writer
                .property("linux,initrd-start", &start.to_be_bytes())?;
            self.writer
                .property("linux,initrd-end", &(start + size).to_be_bytes())?;
        }

        if has_stdout {
            return Ok(());
        }
        let Some(instance) = self.client.property_cell(chosen, c"stdout")? else {
            return Ok(());
        };
        let Some(terminal) = self.client.instance_node(instance)? else {
            return Ok(());
        };
        let mut path = [0; PATH_BYTES];
        if let Some(path) = self.client.path(terminal, &mut path)? {
            let length = path.len();
            self.writer
                .property_with("linux,stdout-path", length + 1, |value| {
                    value[..length].copy_from_slice(path);
                })?;
        }
        Ok(())
    }
}
