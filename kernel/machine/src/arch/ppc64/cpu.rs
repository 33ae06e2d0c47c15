//! Per-CPU data. r13 points at it, and SPRG1 keeps a copy for interrupt entry.

use super::interrupts_off;
use core::{
    arch::asm,
    sync::atomic::{AtomicU32, AtomicU64},
};
use layout::CpuEntry;

/// What belongs to one CPU.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Cpu {
    /// What interrupt entry reads. First, because its offsets count from r13.
    pub entry: CpuEntry,
    /// Decrementer interrupts taken.
    pub ticks: AtomicU64,
    /// Timebase at which the next tick is due.
    pub next_tick: AtomicU64,
    /// Where the running stack begins, its guard first.
    pub stack_bottom: AtomicU64,
    /// Not zero while an interrupt is being handled.
    pub in_interrupt: AtomicU32,
    /// Address of the running thread; zero before there are threads.
    pub current: AtomicU64,
    /// How many faults are being reported, one inside the other.
    pub fault_depth: AtomicU32,
}

const _: () = assert!(core::mem::offset_of!(Cpu, entry) == 0);

/// The only CPU so far. The kernel never names it after [`start_cpu`].
static BOOT_CPU: Cpu = Cpu {
    entry: CpuEntry {
        scratch: [const { AtomicU64::new(0) }; 4],
        toc: AtomicU64::new(0),
        handler: AtomicU64::new(0),
        stack_floor: AtomicU64::new(0),
        stack_top: AtomicU64::new(0),
        fallback_stack: AtomicU64::new(0),
        watched: AtomicU64::new(0),
        tracing: AtomicU64::new(0),
    },
    ticks: AtomicU64::new(0),
    next_tick: AtomicU64::new(0),
    stack_bottom: AtomicU64::new(0),
    in_interrupt: AtomicU32::new(0),
    current: AtomicU64::new(0),
    fault_depth: AtomicU32::new(0),
};

/// Points r13 and SPRG1 at the CPU's data, and turns RI in MSR on, whatever it was for the
/// firmware. The first thing the kernel does.
pub fn start_cpu() {
    let cpu = &raw const BOOT_CPU as u64;
    // SAFETY: r13 is reserved (ELFv2 2.2.1.1: thread pointer, and the kernel has
    // no thread-local storage), SPRG1 is software's own; no memory is touched.
    unsafe {
        asm!(
            "mr 13, {cpu}",
            "mtspr {sprg1}, {cpu}",
            cpu = in(reg) cpu,
            sprg1 = const ppc64::spr::SPRG1,
            options(nomem, nostack, preserves_flags),
        );
    }
    // They have never been on.
    interrupts_off().for_good();
}

/// This CPU's data.
///
/// Valid from [`start_cpu`] on. A thread that moves to another CPU must not
/// keep the reference, so interrupts are best off while it is used.
#[must_use]
#[inline(always)]
pub fn cpu() -> &'static Cpu {
    let cpu: *const Cpu;
    // SAFETY: reads a register.
    unsafe {
        asm!("mr {cpu}, 13", cpu = out(reg) cpu, options(nomem, nostack, preserves_flags));
        // SAFETY: start_cpu has put the address of a static there, before any
        // other kernel code ran, and nothing else writes r13.
        &*cpu
    }
}
