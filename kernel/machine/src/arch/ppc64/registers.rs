//! Machine state, timebase, decrementer and a few others.

use core::{arch::asm, marker::PhantomData, mem};
use ppc64::{msr, spr};

/// The machine state register.
#[must_use]
#[inline(always)]
pub fn machine_state() -> u64 {
    let value: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mfmsr {}", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Sets MSR[EE] and MSR[RI].
///
/// With L=1, mtmsrd changes these two bits alone (ISA Book III, 5.4.4.1). The
/// compiler must not move memory accesses across it, hence no `nomem`.
#[inline(always)]
fn set_enable(enable: u64) {
    // SAFETY: EE and RI don't change what any instruction does; an interrupt
    // that comes now finds the vectors, because nothing turns interrupts on
    // before `install_vectors`.
    unsafe { asm!("mtmsrd {}, 1", in(reg) enable, options(nostack, preserves_flags)) };
}

/// Keeps interrupts off. Dropping it puts back what it found: a guard that was made
/// while another one kept interrupts off leaves them off.
///
/// Guards must be dropped in the reverse order of their making, as locals are. If an
/// older one goes first, it turns interrupts on under a younger one; the younger one
/// notices when it is dropped, and traps.
///
/// It stays on the thread that made it: MSR is the CPU's, and another thread has
/// interrupts on or off for reasons of its own.
#[derive(Debug)]
#[must_use = "interrupts come on again when it is dropped"]
pub struct InterruptsOff {
    /// MSR as it was found. EE is the highest of its bits that ever change here.
    found: u64,
    /// Neither `Send` nor `Sync`.
    _here: PhantomData<*const ()>,
}

/// Turns interrupts off, until the guard is dropped.
///
/// Where they are off already it writes no MSR, nor does the guard: a write takes a processor far longer
/// than the branch, and QEMU a lock that all CPUs share. RI is on then: `enter_kernel_state` and `trap_entry`
/// turn it on before any Rust code runs.
#[inline(always)]
pub fn interrupts_off() -> InterruptsOff {
    let found = machine_state();
    if found & msr::EE != 0 {
        set_enable(msr::RI);
    }
    InterruptsOff {
        found,
        _here: PhantomData,
    }
}

impl InterruptsOff {
    /// Leaves interrupts off for good: the running thread never turns them on again.
    #[inline(always)]
    pub fn for_good(self) {
        mem::forget(self);
    }
}

impl Drop for InterruptsOff {
    #[inline(always)]
    fn drop(&mut self) {
        // The trap compares whole registers, as an isolated bit would cost two
        // instructions more. That MSR is now the higher one means that EE is on now and
        // was off when the guard was made. SE and BE are lower, and they must not come on
        // under a guard: single steps begin with interrupts on.
        //
        // SAFETY: the trap ends the run, and changes nothing if it does not come. The rest
        // is `set_enable`'s.
        unsafe {
            asm!(
                "mfmsr {now}",
                "cmpld {now}, {found}", // equal: they were off already
                "beq 2f",
                "tdlgt {now}, {found}", // EE came on under this guard
                "mtmsrd {found}, 1",
                "2:",
                now = out(reg) _,
                found = in(reg) self.found,
                out("cr0") _,
                options(nostack),
            );
        }
    }
}

/// Whether interrupts are on.
#[must_use]
#[inline]
pub fn interrupts_are_on() -> bool {
    machine_state() & msr::EE != 0
}

/// Turns interrupts on.
///
/// # Safety
/// The vectors are installed, and the running thread holds no [`InterruptsOff`].
#[inline]
pub unsafe fn interrupts_on() {
    set_enable(msr::EE | msr::RI);
}

/// The compiler takes no load behind this for one that is before it, and moves none across. No
/// instruction: `compiler_fence` would be a `hwsync` here.
#[inline(always)]
pub fn compiler_barrier() {
    // SAFETY: does nothing.
    unsafe { asm!("", options(nostack, preserves_flags)) };
}

/// Turns single steps on: from the next instruction on, each one traps (ISA Book III,
/// 7.5.15).
///
/// # Safety
/// Interrupts are on, and a handler takes the traps and turns `MSR[SE]` off again.
#[inline(always)]
pub unsafe fn step_from_here() {
    let steps = machine_state() | msr::SE;
    // SAFETY: as the caller promises.
    unsafe { asm!("mtmsrd {}", in(reg) steps, options(nostack, preserves_flags)) };
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

/// Lets other CPUs run before this one goes on to look at what it waits for. Under QEMU
/// with one thread for all CPUs it ends this CPU's turn, without which the awaited CPU would
/// not run for tens of milliseconds; else it lowers the priority for a moment (ISA Book
/// II, 3.2, yield).
#[inline(always)]
pub fn spin() {
    // SAFETY: a hint.
    unsafe { asm!("or 27, 27, 27", options(nomem, nostack, preserves_flags)) };
}

/// Drops what was fetched ahead: later instructions are fetched anew (ISA Book II, 1.7.1).
#[inline(always)]
pub fn synchronise_fetch() {
    // SAFETY: changes nothing that an instruction does. No `nomem`: it is a barrier.
    unsafe { asm!("isync", options(nostack, preserves_flags)) };
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
