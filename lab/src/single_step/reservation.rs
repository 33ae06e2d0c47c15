//! Load-and-reserve and store-conditional, single-stepped.
//!
//! Every trap takes the reservation away, so a store-conditional that is stepped never
//! succeeds, and the loop around it never ends. So both are carried out in the processor's
//! place: the store succeeds if what the load has found is still there (ISA Book II,
//! 4.6.2). What runs between the two, if anything, might as well have run before the load.

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

    fn write(self, value: u64) {
        let address = self.address;
        // SAFETY: the stepped code is about to write this there itself, and has read it in
        // the same width before.
        unsafe {
            match self.bytes {
                1 => (address as *mut u8).write_volatile(value as u8),
                2 => (address as *mut u16).write_volatile(value as u16),
                4 => (address as *mut u32).write_volatile(value as u32),
                _ => (address as *mut u64).write_volatile(value),
            }
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
    let found = Reservation::new(address, atomic.bytes);
    if atomic.stores {
        let succeeds = held.take() == Some(found);
        if succeeds {
            found.write(frame.gpr[atomic.register]);
        }
        // SO is a copy of that in XER.
        let overflow = (frame.xer & 0x8000_0000) >> 3;
        let equal = if succeeds { EQUAL } else { 0 };
        frame.cr = frame.cr & !FIELD | equal | overflow;
    } else {
        frame.gpr[atomic.register] = found.value;
        *held = Some(found);
    }
    frame.nip += 4;
    true
}
