//! The machine, as the device tree describes it.

mod rtas;
mod tree;

pub use rtas::{can_power_off, power_off, start_cpu};
pub use tree::PlatformError;

use crate::{arch, mmu};
use arrayvec::ArrayVec;
use boot::{BootInfo, Endian, Entry};
use core::sync::atomic::Ordering;
use memmap::Range;

/// How many ranges of memory, and reservations in it, the kernel keeps track of.
pub const RANGES: usize = 32;

/// How many CPUs the kernel keeps track of; it uses fewer.
pub const IDS: usize = 64;

/// What the kernel knows of the machine it runs on.
#[derive(Debug)]
pub struct Platform {
    /// Through which interface the kernel was entered.
    pub entry: Entry,
    /// In which byte order.
    pub endian: Endian,
    /// The machine's name for itself.
    pub model: &'static str,
    /// Name of the first processor's node, without its unit address.
    pub cpu: &'static str,
    /// What the hypervisor calls each CPU (`ibm,ppc-interrupt-server#s`), as the tree has
    /// them. Those that find no room are not used.
    pub hardware_ids: ArrayVec<u32, IDS>,
    /// How many CPUs the tree names.
    pub cpus: u32,
    /// How the first processor can translate addresses.
    pub translation: mmu::Kinds,
    /// Timebase frequency in hertz.
    pub timebase_hz: u64,
    /// All memory.
    pub memory: ArrayVec<Range, RANGES>,
    /// Memory that is not free: what firmware reserved, and the tree itself.
    pub reserved: ArrayVec<Range, RANGES>,
    /// The initial RAM disk.
    pub initrd: Option<Range>,
    /// The boot arguments.
    pub bootargs: &'static str,
    /// The console's terminal.
    pub console: u32,
    /// The terminal for machine-readable reports.
    pub report: Option<u32>,
    /// The terminal over which live patches come.
    pub channel: Option<u32>,
}

static PLATFORM: spin::Once<Platform> = spin::Once::new();

/// Reads the device tree: how to power off first, for a machine that lacks something else.
///
/// # Errors
/// [`PlatformError`], with what the tree lacks.
pub fn discover(info: &BootInfo) -> Result<&'static Platform, PlatformError> {
    rtas::use_token(info.power_off.or_else(|| tree::power_off(info)));
    let platform = tree::read(info)?;
    rtas::use_cpu_tokens(tree::cpu_tokens(info));
    let own = platform
        .hardware_ids
        .iter()
        .find(|&&id| rtas::is_running(id));
    let own = own.or(platform.hardware_ids.first()).copied();
    arch::CPUS[0]
        .hardware_id
        .store(own.unwrap_or(0), Ordering::Relaxed);
    Ok(PLATFORM.call_once(|| platform))
}

/// The platform.
///
/// # Panics
/// Before [`discover`] has succeeded.
#[must_use]
pub fn get() -> &'static Platform {
    PLATFORM.get().expect("the device tree is read first")
}

/// The platform, if [`discover`] has succeeded yet.
#[must_use]
pub fn try_get() -> Option<&'static Platform> {
    PLATFORM.get()
}

impl Platform {
    /// How much memory there is, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory
            .iter()
            .map(|range| range.end - range.start)
            .sum()
    }
}
