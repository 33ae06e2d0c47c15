//! Translation of addresses: which pages there are, and what may be done with them.
//!
//! Effective addresses are real ones, so nothing moves when it is turned on; what changes is that a
//! page is code, constants or data, or is not there, address 0 first. All CPUs share the tables.
//! Interrupts arrive with translation on (`AIL` 3), at the second copy of the vectors.
//!
//! Two kinds of tables are behind one interface: the radix tree, where the device tree says that the processor
//! has it (POWER9 and later), else the hashed table of the hypervisor, which all of them have. The boot argument
//! `mmu` chooses, and `mmu=off` leaves real mode on: then all memory may be written and executed,
//! and each function here does nothing.
//!
//! Code is never written where it runs: see [`Alias`].

mod hash;
mod radix;
mod refused;

use crate::{
    arch::{self, InterruptsOff},
    mm, platform,
};
use core::fmt;
use hash::Hash;
use memmap::Range;
use pagetable::radix::RadixError;
pub use pagetable::{Access, PAGE, Page, Rights};
use ppc64::hcall;
use radix::Radix;
pub use refused::Refused;

/// Why translation is not as asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MmuError {
    /// The processor has no radix tree.
    NoRadix,
    /// The hypervisor has refused a call, with this status.
    Refused {
        /// Its name in PAPR.
        call: &'static str,
        /// What it returned.
        status: i64,
    },
    /// The tree can't be as asked.
    Radix(RadixError),
    /// The device tree does not say how large the hashed table is.
    NoSize,
}

impl fmt::Display for MmuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRadix => f.write_str("the processor has no radix tree"),
            Self::Refused { call, status } => {
                write!(f, "the hypervisor call {call} returned {status}")
            }
            Self::Radix(error) => error.fmt(f),
            Self::NoSize => f.write_str("the device tree lacks a cpu's `ibm,pft-size`"),
        }
    }
}

impl From<RadixError> for MmuError {
    fn from(error: RadixError) -> Self {
        Self::Radix(error)
    }
}

/// What translates addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Nothing: real mode.
    Off,
    /// The radix tree.
    Radix,
    /// The hashed table.
    Hash,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Radix => "radix",
            Self::Hash => "hash",
        }
    }
}

/// The tables.
enum Tables {
    Radix(Radix),
    Hash(Hash),
}

static TABLES: spin::Once<Tables> = spin::Once::new();

/// What the device tree says of the processor's tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kinds {
    /// Whether it has the radix tree (`ibm,processor-radix-AP-encodings`).
    pub radix: bool,
    /// The hashed table's size, as a power of two (`ibm,pft-size`).
    pub hash_bits: Option<u32>,
}

/// What a hypervisor call has returned, as a result.
fn check(call: &'static str, status: i64) -> Result<(), MmuError> {
    if status == hcall::H_SUCCESS {
        Ok(())
    } else {
        Err(MmuError::Refused { call, status })
    }
}

/// The kind that is wanted, or the best.
///
/// # Errors
/// [`MmuError::NoRadix`], [`MmuError::NoSize`]: the processor does not have it.
pub fn choose(wanted: Option<Kind>) -> Result<Kind, MmuError> {
    let kinds = platform::get().translation;
    let best = if kinds.radix { Kind::Radix } else { Kind::Hash };
    match wanted.unwrap_or(best) {
        Kind::Radix if !kinds.radix => Err(MmuError::NoRadix),
        Kind::Hash if kinds.hash_bits.is_none() => Err(MmuError::NoSize),
        kind => Ok(kind),
    }
}

/// Makes the tables of all [areas](mm::areas). They are in use after [`enter`].
///
/// # Errors
/// [`MmuError`]
pub fn start(kind: Kind) -> Result<(), MmuError> {
    let hash_bits = platform::get().translation.hash_bits;
    let tables = match kind {
        Kind::Off => return Ok(()),
        Kind::Radix => Tables::Radix(Radix::start()?),
        Kind::Hash => Tables::Hash(Hash::start(hash_bits.ok_or(MmuError::NoSize)?)?),
    };
    arch::take_interrupts_translated().map_err(|status| MmuError::Refused {
        call: "H_SET_MODE",
        status,
    })?;
    TABLES.call_once(|| tables);
    Ok(())
}

/// Turns translation on for this CPU, if there are tables. Interrupts stay off: the guard would put back the
/// machine state that it found.
pub fn enter(off: InterruptsOff) {
    off.for_good();
    match TABLES.get() {
        None => return,
        Some(Tables::Radix(_)) => arch::use_tree(radix::KERNEL),
        Some(Tables::Hash(_)) => hash::use_segments(),
    }
    // SAFETY: this code, its stack and the vectors are mapped where they are.
    unsafe { arch::translate() };
}

/// Whether there are tables: addresses are translated.
#[must_use]
#[inline]
pub fn is_on() -> bool {
    TABLES.get().is_some()
}

/// What translates addresses.
#[must_use]
#[inline]
pub fn kind() -> Kind {
    match TABLES.get() {
        None => Kind::Off,
        Some(Tables::Radix(_)) => Kind::Radix,
        Some(Tables::Hash(_)) => Kind::Hash,
    }
}

/// Sets what may be done with the pages of a range, or takes them away. When it returns, no CPU uses
/// what they allowed before.
///
/// # Errors
/// [`MmuError`]; a part has changed then.
pub fn set(range: Range, rights: Option<Rights>) -> Result<(), MmuError> {
    match TABLES.get() {
        None => Ok(()),
        Some(Tables::Radix(radix)) => radix.set(range, rights),
        Some(Tables::Hash(hash)) => hash.set(range, rights),
    }
}

/// The same, and no CPU is told: each goes on by what it has kept. Only the radix tree can, for a
/// control.
///
/// # Errors
/// [`MmuError`]; a part has changed then.
pub fn set_untold(range: Range, rights: Option<Rights>) -> Result<(), MmuError> {
    match TABLES.get() {
        Some(Tables::Radix(radix)) => radix.write(range, rights).map(drop),
        _ => set(range, rights),
    }
}

/// The page that an address is in.
#[must_use]
pub fn page_at(address: u64) -> Option<Page> {
    match TABLES.get()? {
        Tables::Radix(radix) => radix.page_at(address),
        Tables::Hash(hash) => hash.page_at(address),
    }
}

/// Shows every page that any CPU can use, as the tables have it now.
pub fn walk(visit: &mut dyn FnMut(Page)) {
    match TABLES.get() {
        None => {}
        Some(Tables::Radix(radix)) => radix.walk(visit),
        Some(Tables::Hash(hash)) => hash.walk(visit),
    }
}

/// Bytes of memory for the tables of these areas. The hashed table is the hypervisor's.
#[must_use]
pub(crate) fn table_bytes_for(kind: Kind, areas: &[mm::Area]) -> u64 {
    match kind {
        Kind::Radix => radix::bytes_for(areas),
        Kind::Off | Kind::Hash => 0,
    }
}

/// A second address of one page, which can be written there: for this CPU alone, and no longer than this lives.
///
/// The address is another one each time. Other CPUs have no page there: the radix tree that
/// has it, or the segment, is this CPU's own. With `mmu=off` it is the page itself.
#[derive(Debug)]
pub struct Alias<'a> {
    page: u64,
    address: u64,
    /// Of the hashed table: where the entry is.
    slot: u64,
    /// This CPU is the one that uses it.
    _off: &'a InterruptsOff,
}

impl<'a> Alias<'a> {
    /// Of the page that `address` is in.
    ///
    /// # Safety
    /// No other alias is there, on any CPU.
    #[must_use]
    #[inline]
    pub unsafe fn new(address: u64, off: &'a InterruptsOff) -> Self {
        let page = address & !(PAGE - 1);
        let (address, slot) = match TABLES.get() {
            None => (page, 0),
            Some(Tables::Radix(radix)) => (radix.open(page), 0),
            Some(Tables::Hash(hash)) => hash.open(page),
        };
        Self {
            page,
            address,
            slot,
            _off: off,
        }
    }

    /// Where an address can be written, if it is in the page.
    #[must_use]
    #[inline]
    pub fn of(&self, address: u64) -> Option<u64> {
        let offset = address.wrapping_sub(self.page);
        (offset < PAGE).then_some(self.address | offset)
    }
}

impl Drop for Alias<'_> {
    fn drop(&mut self) {
        match TABLES.get() {
            None => {}
            Some(Tables::Radix(radix)) => radix.close(self.address),
            Some(Tables::Hash(hash)) => hash.close(self.address, self.slot),
        }
    }
}

/// What the next alias's address is made of. No secret is in it, only change.
fn random() -> u64 {
    arch::timebase().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8
}
