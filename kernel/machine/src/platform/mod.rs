//! The machine, as the device tree describes it.

mod rtas;
mod tree;

pub use rtas::{can_power_off, power_off};
pub use tree::PlatformError;

use arrayvec::ArrayVec;
use boot::{BootInfo, Endian, Entry};
use memmap::Range;

/// How many ranges of memory, and reservations in it, the kernel keeps track of.
pub const RANGES: usize = 32;

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
    /// How many processors there are.
    pub cpus: u32,
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
}

static PLATFORM: spin::Once<Platform> = spin::Once::new();

/// Reads the device tree: how to power off first, for a machine that lacks something else.
///
/// # Errors
/// [`PlatformError`], with what the tree lacks.
pub fn discover(info: &BootInfo) -> Result<&'static Platform, PlatformError> {
    rtas::use_token(info.power_off.or_else(|| tree::power_off(info)));
    let platform = tree::read(info)?;
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
