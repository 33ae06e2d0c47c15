//! Machine state, timebase, decrementer and a few others.

use core::arch::asm;
use ppc64::{msr, spr};

/// Whether interrupts were on, to put that back later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Interrupts(u64);

/// The machine state register.
#[must_use]
#[inline(always)]
pub fn machine_state() -> u64 {
    let value: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mfmsr {}", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Sets MSR[EE], and MSR[RI] to 1.
///
/// With L=1, mtmsrd changes these two bits alone (ISA Book III, 5.4.4.1). The
/// compiler must not move memory accesses across it, hence no `nomem`.
#[inline(always)]
fn set_enable(enable: u64) {
    // SAFETY: EE and RI don't change what any instruction does; an interrupt
    // that comes now finds the vectors, because nothing turns interrupts on
    // before `install_vectors`.
    unsafe {
        asm!("mtmsrd {}, 1", in(reg) (enable & msr::EE) | msr::RI, options(nostack, preserves_flags));
    }
}

/// Turns interrupts off, and returns what they were.
#[inline(always)]
pub fn interrupts_off() -> Interrupts {
    let before = Interrupts(machine_state() & msr::EE);
    set_enable(0);
    before
}

/// Whether interrupts are on.
#[must_use]
#[inline]
pub fn interrupts_are_on() -> bool {
    machine_state() & msr::EE != 0
}

/// Puts back what [`interrupts_off`] returned.
#[inline(always)]
pub fn interrupts_restore(before: Interrupts) {
    set_enable(before.0);
}

/// Turns interrupts on. Only after `install_vectors`.
#[inline]
pub fn interrupts_on() {
    set_enable(msr::EE);
}

/// The timebase, in ticks of the frequency that the device tree names.
#[must_use]
#[inline]
pub fn timebase() -> u64 {
    let value: u64;
    // SAFETY: reads a register. Not `pure`: each read has a value of its own.
    unsafe { asm!("mftb {}", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Lets the decrementer interrupt in `ticks` timebase ticks.
#[inline]
pub fn set_decrementer(ticks: i32) {
    // SAFETY: writes the decrementer; its interrupt is the kernel's own.
    unsafe {
        asm!(
            "mtspr {dec}, {ticks}",
            ticks = in(reg) i64::from(ticks),
            dec = const spr::DEC,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// Processor version and revision (ISA Book III, 5.3.1).
#[must_use]
#[inline]
pub fn processor_version() -> u32 {
    let value: u64;
    // SAFETY: reads a register.
    unsafe {
        asm!("mfspr {}, {pvr}", out(reg) value, pvr = const spr::PVR, options(nomem, nostack, preserves_flags));
    }
    value as u32
}

/// The stack pointer.
#[must_use]
#[inline(always)]
pub fn stack_pointer() -> u64 {
    let value: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mr {}, 1", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// A hint that the CPU has nothing to do but wait for an interrupt or another
/// CPU: lowers its priority for a moment (ISA Book II, 3.2).
#[inline]
pub fn wait() {
    // SAFETY: changes the priority of this thread of the CPU, and back.
    unsafe {
        asm!(
            "or 31, 31, 31",
            "or 2, 2, 2",
            options(nomem, nostack, preserves_flags)
        )
    };
}
