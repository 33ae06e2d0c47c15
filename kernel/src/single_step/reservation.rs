//! Load-and-reserve and store-conditional, single-stepped.
//!
//! Every trap takes the reservation away, so a store-conditional that is stepped never
//! succeeds, and the loop around it never ends. So it is carried out in the processor's
//! place: it succeeds if what the load has found is still there (ISA Book II, 4.6.2).
//! What runs between the two, if anything, might as well have run before the load.

use layout::TrapFrame;

/// What a load-and-reserve has found.
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    address: u64,
    bytes: u32,
    value: u64,
}

/// CR0 after a store-conditional that has succeeded.
const EQUAL: u64 = 0x2000_0000;
/// CR0 in the low word of CR.
const FIELD: u64 = 0xf000_0000;

/// The address of an X-form instruction's operand: (RA|0) + RB.
fn address(frame: &TrapFrame, word: u32) -> u64 {
    let gpr = |shift: u32| frame.gpr[(word >> shift & 31) as usize];
    let base = if word >> 16 & 31 == 0 { 0 } else { gpr(16) };
    base.wrapping_add(gpr(11))
}

fn read(address: u64, bytes: u32) -> u64 {
    // SAFETY: the stepped code is about to read it, or has just done so, with the same
    // alignment.
    unsafe {
        match bytes {
            1 => u64::from((address as *const u8).read_volatile()),
            2 => u64::from((address as *const u16).read_volatile()),
            4 => u64::from((address as *const u32).read_volatile()),
            _ => (address as *const u64).read_volatile(),
        }
    }
}

fn write(address: u64, bytes: u32, value: u64) {
    // SAFETY: the stepped code is about to write this there itself, and has read it in
    // the same width before.
    unsafe {
        match bytes {
            1 => (address as *mut u8).write_volatile(value as u8),
            2 => (address as *mut u16).write_volatile(value as u16),
            4 => (address as *mut u32).write_volatile(value as u32),
            _ => (address as *mut u64).write_volatile(value),
        }
    }
}

/// Whether an instruction is a store-conditional.
pub fn is_conditional_store(word: u32) -> bool {
    word >> 26 == 31 && word & 1 == 1 && matches!(word >> 1 & 0x3ff, 694 | 726 | 150 | 214)
}

/// Looks at the instruction that comes next. Notes what a load-and-reserve will find; a
/// store-conditional is carried out, and `frame` is then behind it. Says whether that
/// was so.
pub fn carry_out(frame: &mut TrapFrame, word: u32, held: &mut Option<Reservation>) -> bool {
    if word >> 26 != 31 {
        return false;
    }
    let (bytes, stores) = match word >> 1 & 0x3ff {
        52 => (1, false),
        116 => (2, false),
        20 => (4, false),
        84 => (8, false),
        694 => (1, true),
        726 => (2, true),
        150 => (4, true),
        214 => (8, true),
        _ => return false,
    };
    let address = address(frame, word);
    if !address.is_multiple_of(u64::from(bytes)) {
        // It will trap by itself.
        return false;
    }
    if !stores {
        *held = Some(Reservation {
            address,
            bytes,
            value: read(address, bytes),
        });
        return false;
    }
    let held = held.take();
    let succeeds = held.is_some_and(|held| {
        (held.address, held.bytes) == (address, bytes) && read(address, bytes) == held.value
    });
    if succeeds {
        let value = frame.gpr[(word >> 21 & 31) as usize];
        write(address, bytes, value);
    }
    // SO is a copy of that in XER.
    let overflow = (frame.xer & 0x8000_0000) >> 3;
    let equal = if succeeds { EQUAL } else { 0 };
    frame.cr = frame.cr & !FIELD | equal | overflow;
    frame.nip += 4;
    true
}
