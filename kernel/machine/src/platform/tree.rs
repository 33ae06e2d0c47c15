//! Reads the flattened device tree (PAPR appendix B, devicetree specification).

use super::{IDS, Platform, RANGES, rtas::CpuTokens};
use crate::mmu::Kinds;
use arrayvec::ArrayVec;
use boot::{BootError, BootInfo};
use core::fmt;
use dtoolkit::{
    Node, Property,
    error::FdtParseError,
    fdt::{Fdt, FdtNode},
};
use memmap::Range;

/// Why the kernel can't tell what machine it runs on.
#[derive(Debug)]
pub enum PlatformError {
    /// There is no tree.
    NoTree(BootError),
    /// The tree is damaged.
    Damaged(FdtParseError),
    /// A node or property is missing, or not of the form it should have.
    Missing(&'static str),
    /// More ranges of memory than the kernel keeps track of.
    TooManyRanges,
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTree(error) => write!(f, "no device tree: {error}"),
            Self::Damaged(error) => write!(f, "damaged device tree: {error}"),
            Self::Missing(what) => write!(f, "the device tree lacks {what}"),
            Self::TooManyRanges => {
                write!(f, "the device tree has more than {RANGES} ranges of memory")
            }
        }
    }
}

type Result<T> = core::result::Result<T, PlatformError>;

pub fn read(info: &BootInfo) -> Result<Platform> {
    let blob = info.tree.map_err(PlatformError::NoTree)?;
    let tree = Fdt::new(blob).map_err(PlatformError::Damaged)?;
    let root = tree.root();
    let chosen = root
        .child("chosen")
        .ok_or(PlatformError::Missing("/chosen"))?;
    let cpu = first_cpu(&root)?;
    let [console, report, channel] = terminals(&root, &chosen);
    let console = console.ok_or(PlatformError::Missing(
        "a node of type `serial` with a `reg` in /vdevice",
    ))?;
    Ok(Platform {
        entry: info.entry,
        endian: info.endian,
        model: text(&root, "model").unwrap_or("unnamed machine"),
        cpu: cpu.name_without_address(),
        hardware_ids: hardware_ids(&root).take(IDS).collect(),
        cpus: hardware_ids(&root).count() as u32,
        translation: translation(&cpu),
        timebase_hz: integer(&cpu, "timebase-frequency")
            .filter(|&hz| hz >= 1_000_000)
            .ok_or(PlatformError::Missing(
                "a cpu's `timebase-frequency` of 1 MHz or more",
            ))?,
        memory: memory(&root)?,
        reserved: reserved(&tree, &root, blob)?,
        initrd: initrd(&chosen),
        bootargs: text(&chosen, "bootargs").unwrap_or(""),
        console,
        report,
        channel,
    })
}

/// RTAS's token for power-off (PAPR 7.3.9.1).
pub fn power_off(info: &BootInfo) -> Option<u32> {
    let tree = Fdt::new(info.tree.ok()?).ok()?;
    let token = integer(&tree.root().child("rtas")?, "power-off")?;
    u32::try_from(token).ok()
}

/// RTAS's tokens for other CPUs (PAPR 7.3.8).
pub fn cpu_tokens(info: &BootInfo) -> Option<CpuTokens> {
    let tree = Fdt::new(info.tree.ok()?).ok()?;
    let rtas = tree.root().child("rtas")?;
    let token = |name| u32::try_from(integer(&rtas, name)?).ok();
    Some(CpuTokens {
        start: token("start-cpu")?,
        state: token("query-cpu-stopped-state")?,
    })
}

/// What the hypervisor calls the CPUs of a node, its threads; else the node's own number.
fn hardware_ids(root: &FdtNode<'static>) -> impl Iterator<Item = u32> {
    cpu_nodes(root).flat_map(|node| {
        let property =
            (node.property("ibm,ppc-interrupt-server#s")).or_else(|| node.property("reg"));
        let cells = property.map_or(&[][..], |property| property.value());
        let (cells, _) = cells.as_chunks::<4>();
        cells.iter().map(|&cell| u32::from_be_bytes(cell))
    })
}

/// A property that is text: up to its first zero.
fn text(node: &FdtNode<'static>, name: &str) -> Option<&'static str> {
    let property = node.properties().find(|property| property.name() == name)?;
    property.as_str().ok()
}

/// A property that is one or two cells.
fn integer(node: &FdtNode<'static>, name: &str) -> Option<u64> {
    let property = node.property(name)?;
    match *property.value() {
        [a, b, c, d] => Some(u64::from(u32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}

/// The ranges of a `reg` property.
fn ranges(node: FdtNode<'static>) -> Option<impl Iterator<Item = Option<Range>>> {
    Some(node.reg().ok()??.map(|reg| {
        let start = reg.address::<u64>().ok()?;
        let end = start.checked_add(reg.size::<u64>().ok()?)?;
        Some(Range { start, end })
    }))
}

fn cpu_nodes(root: &FdtNode<'static>) -> impl Iterator<Item = FdtNode<'static>> {
    let nodes = root.child("cpus");
    nodes
        .into_iter()
        .flat_map(|cpus| cpus.children())
        .filter(|node| text(node, "device_type") == Some("cpu"))
}

fn first_cpu(root: &FdtNode<'static>) -> Result<FdtNode<'static>> {
    cpu_nodes(root)
        .next()
        .ok_or(PlatformError::Missing("a node of type `cpu` in /cpus"))
}

/// What the processor's node says of translation (PAPR C.6.1.4). `ibm,pft-size` has two cells: a number of
/// the node, and the table's size.
fn translation(cpu: &FdtNode<'static>) -> Kinds {
    let hash_bits = match cpu.property("ibm,pft-size").map(|size| size.value()) {
        Some(&[_, _, _, _, a, b, c, d]) => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
    };
    Kinds {
        radix: cpu.property("ibm,processor-radix-AP-encodings").is_some(),
        hash_bits: hash_bits.filter(|bits| (18..=46).contains(bits)),
    }
}

fn memory(root: &FdtNode<'static>) -> Result<ArrayVec<Range, RANGES>> {
    let malformed = PlatformError::Missing("a well-formed `reg` in a memory node");
    let mut all = ArrayVec::new();
    let nodes = root
        .children()
        .filter(|node| text(node, "device_type") == Some("memory"));
    for node in nodes {
        let Some(ranges) = ranges(node) else {
            return Err(malformed);
        };
        for range in ranges {
            let Some(range) = range else {
                return Err(malformed);
            };
            all.try_push(range)
                .map_err(|_| PlatformError::TooManyRanges)?;
        }
    }
    if all.is_empty() {
        Err(PlatformError::Missing("a node of type `memory`"))
    } else {
        Ok(all)
    }
}

/// What is not free: the reservation block, /reserved-memory and the tree.
fn reserved(
    tree: &Fdt<'static>,
    root: &FdtNode<'static>,
    blob: &[u8],
) -> Result<ArrayVec<Range, RANGES>> {
    let block = tree.memory_reservations().map(|one| Range {
        start: one.address(),
        end: one.address().saturating_add(one.size()),
    });
    let nodes = root
        .child("reserved-memory")
        .into_iter()
        .flat_map(|node| node.children());
    let nodes = nodes.filter_map(ranges).flatten().flatten();
    let start = blob.as_ptr().addr() as u64;
    let own = Range {
        start,
        end: start + blob.len() as u64,
    };
    let mut all = ArrayVec::new();
    for range in block.chain(nodes).chain([own]) {
        all.try_push(range)
            .map_err(|_| PlatformError::TooManyRanges)?;
    }
    Ok(all)
}

fn initrd(chosen: &FdtNode<'static>) -> Option<Range> {
    let start = integer(chosen, "linux,initrd-start")?;
    let end = integer(chosen, "linux,initrd-end")?;
    (start < end).then_some(Range { start, end })
}

/// The terminals for console, reports and live patches: the one that firmware chose, and the
/// others by unit address.
fn terminals(root: &FdtNode<'static>, chosen: &FdtNode<'static>) -> [Option<u32>; 3] {
    let mut all: ArrayVec<(u32, &str), 8> = ArrayVec::new();
    for node in root
        .child("vdevice")
        .into_iter()
        .flat_map(|devices| devices.children())
    {
        if text(&node, "device_type") == Some("serial")
            && let Some(number) = integer(&node, "reg")
            && let Ok(number) = u32::try_from(number)
        {
            // Terminals beyond those few are of no use to the kernel.
            let _ = all.try_push((number, node.name()));
        }
    }
    all.sort_unstable();
    let stdout = ["stdout-path", "linux,stdout-path"]
        .iter()
        .find_map(|name| text(chosen, name));
    let is_stdout = |name: &str| stdout.is_some_and(|path| path.ends_with(name));
    let console = all.iter().find(|(_, name)| is_stdout(name)).or(all.first());
    let console = console.map(|&(number, _)| number);
    let mut others = all.iter().map(|&(number, _)| number);
    let mut other = || others.find(|&number| Some(number) != console);
    [console, other(), other()]
}
