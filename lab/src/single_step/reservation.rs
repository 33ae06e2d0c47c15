//! Load-and-reserve and store-conditional, single-stepped.
//!
//! Every trap takes the reservation away, so a store-conditional that is stepped never
//! succeeds, and the loop around it never ends. So both are carried out in the processor's
//! place: the store succeeds if what the load has found is still there (ISA Book II,
//! 4.6.2). What runs between the two, if anything, might as well have run before the load.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use layout::TrapFrame;
use ppc64::insn::Atomic;

/// What a load-and-reserve has found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reservation {
    address: u64,
    bytes: u8,
    value: u64,
}

/// CR0 after a store-conditional that has succeeded.
const EQUAL: u64 = 0x2000_0000;
/// CR0 in the low word of CR.
const FIELD: u64 = 0xf000_0000;

impl Reservation {
    /// What memory holds now.
    fn new(address: u64, bytes: u8) -> Self {
        // SAFETY: the stepped code is about to read or write this itself, and the address
        // is a multiple of the size.
        let value = unsafe {
            match bytes {
                1 => u64::from((address as *const u8).read_volatile()),
                2 => u64::from((address as *const u16).read_volatile()),
                4 => u64::from((address as *const u32).read_volatile()),
                _ => (address as *const u64).read_volatile(),
            }
        };
        Self {
            address,
            bytes,
            value,
        }
    }

    /// Stores if what was found is still there; another CPU may store meanwhile. Says whether it
    /// did.
    fn exchange(self, value: u64) -> bool {
        /// By the width.
        macro_rules! exchange {
            ($atomic:ty, $integer:ty) => {{
                // SAFETY: as in `new`.
                let place = unsafe { <$atomic>::from_ptr(self.address as *mut $integer) };
                let (old, new) = (self.value as $integer, value as $integer);
                place.compare_exchange(old, new, Relaxed, Relaxed).is_ok()
            }};
        }
        match self.bytes {
            1 => exchange!(AtomicU8, u8),
            2 => exchange!(AtomicU16, u16),
            4 => exchange!(AtomicU32, u32),
            _ => exchange!(AtomicU64, u64),
        }
    }
}

/// Carries out the instruction that comes next, and leaves `frame` behind it. Says whether
/// that was so: one with a misaligned address is left to trap by itself.
pub fn carry_out(frame: &mut TrapFrame, atomic: Atomic, held: &mut Option<Reservation>) -> bool {
    let base = match atomic.base {
        0 => 0,
        base => frame.gpr[base],
    };
    let address = base.wrapping_add(frame.gpr[atomic.index]);
    if !address.is_multiple_of(u64::from(atomic.bytes)) {
        return false;
    }
    if atomic.stores {
        let is_same = |one: &Reservation| (one.address, one.bytes) == (address, atomic.bytes);
        let held = held.take().filter(is_same);
        let succeeds = held.is_some_and(|held| held.exchange(frame.gpr[atomic.register]));
        // SO is a copy of that in XER.
        let overflow = (frame.xer & 0x8000_0000) >> 3;
        let equal = if succeeds { EQUAL } else { 0 };
        frame.cr = frame.cr & !FIELD | equal | overflow;
    } else {
        let found = Reservation::new(address, atomic.bytes);
        frame.gpr[atomic.register] = found.value;
        *held = Some(found);
    }
    frame.nip += 4;
    true
}
