//! Per-CPU data. r13 points at it, and SPRG1 keeps a copy for interrupt entry.
//!
//! r13 belongs to the CPU and to no thread: a context switch and the return from an
//! interrupt leave it as it is. A thread may be interrupted anywhere and go on on another
//! CPU, so it may use r13 in two ways only. One instruction reads or writes one
//! doubleword through it: [`current`] and the others here, and the trampoline. Or
//! interrupts are off, and [`InterruptsOff::cpu`] lends the whole.

use super::InterruptsOff;
use core::{
    arch::asm,
    mem::offset_of,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};
use layout::CpuEntry;

/// The most CPUs that the kernel uses.
pub const MOST_CPUS: usize = 8;

/// How many different things CPUs ask of each other.
pub const REQUESTS: usize = 4;

/// Bytes of the largest cache block of POWER's.
const CACHE_BLOCK: usize = 128;

/// What belongs to one CPU. Aligned so that no two share a cache block. The first block,
/// [`Cpu::OWN_BYTES`], is the CPU's own: calls write to it. What other CPUs read is behind it.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Cpu {
    /// What interrupt entry reads. First, because its offsets count from r13.
    pub entry: CpuEntry,
    /// Address of the running thread; zero before there are threads.
    pub current: AtomicU64,
    /// Not zero while an interrupt is being handled.
    pub in_interrupt: AtomicU64,
    /// Decrementer interrupts taken.
    pub ticks: AtomicU64,
    /// Timebase at which the next tick is due.
    pub next_tick: AtomicU64,
    /// Where the running stack begins, above its guard.
    pub stack_bottom: AtomicU64,
    /// Its place among the CPUs; the one that boots is 0.
    pub number: AtomicU64,
    /// What the hypervisor calls it (`ibm,ppc-interrupt-server#s`, PAPR C.6.1.4).
    pub hardware_id: AtomicU32,
    /// Whether it runs the kernel.
    pub is_up: AtomicBool,
    /// What other CPUs have asked it to do: see `cpus`.
    pub requests: AtomicU32,
    /// The last synchronisation that it has taken part in: see `cpus`.
    pub synchronised: AtomicU64,
    /// The last pause that it has made, or makes: see `cpus`.
    pub paused: AtomicU64,
    /// How often it was interrupted for each request, by the request's bit: see `cpus`.
    pub taken: [AtomicU64; REQUESTS],
}

const _: () = {
    assert!(offset_of!(Cpu, entry) == 0);
    // The first of the fields that other CPUs read.
    assert!(offset_of!(Cpu, number) == CACHE_BLOCK);
    assert!(align_of::<Cpu>() == CACHE_BLOCK);
};

impl Cpu {
    /// How much of it, from its start, no other CPU reads, but to show it to a person.
    pub const OWN_BYTES: usize = CACHE_BLOCK;

    const fn new() -> Self {
        Self {
            entry: CpuEntry {
                scratch: [const { AtomicU64::new(0) }; 4],
                toc: AtomicU64::new(0),
                handler: AtomicU64::new(0),
                stack_floor: AtomicU64::new(0),
                stack_top: AtomicU64::new(0),
                fallback_stack: AtomicU64::new(0),
                tracing: AtomicU64::new(0),
                livepatch_stack: AtomicU64::new(0),
            },
            current: AtomicU64::new(0),
            in_interrupt: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
            next_tick: AtomicU64::new(0),
            stack_bottom: AtomicU64::new(0),
            number: AtomicU64::new(0),
            hardware_id: AtomicU32::new(0),
            is_up: AtomicBool::new(false),
            requests: AtomicU32::new(0),
            synchronised: AtomicU64::new(0),
            paused: AtomicU64::new(0),
            taken: [const { AtomicU64::new(0) }; REQUESTS],
        }
    }

    /// Its place among the CPUs.
    #[must_use]
    #[inline]
    pub fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed) as u32
    }
}

/// All that there can be, by number. The first is the one that boots.
pub static CPUS: [Cpu; MOST_CPUS] = [const { Cpu::new() }; MOST_CPUS];

/// Points r13 and SPRG1 of the CPU that boots at its data. The first thing the kernel does.
pub fn start_cpu() {
    let cpu = &raw const CPUS as u64;
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
    CPUS[0].is_up.store(true, Ordering::Relaxed);
}

impl InterruptsOff {
    /// This CPU's data. With interrupts off the running code stays on this CPU; so the
    /// guard lends it.
    ///
    /// Valid from [`start_cpu`] on.
    #[must_use]
    #[inline(always)]
    pub fn cpu(&self) -> &Cpu {
        let cpu: *const Cpu;
        // SAFETY: reads a register.
        unsafe {
            asm!("mr {cpu}, 13", cpu = out(reg) cpu, options(nomem, nostack, preserves_flags));
            // SAFETY: r13 is the address of one of `CPUS` from `start_cpu` on, or from a
            // later CPU's first instructions on, and no other code writes it.
            &*cpu
        }
    }
}

/// Reads a doubleword of this CPU's data: of the CPU that executes this instruction.
#[inline(always)]
fn load<const OFFSET: usize>() -> u64 {
    let value: u64;
    // SAFETY: reads a field of the struct that r13 points at. Not `pure`: the next
    // instruction may run on another CPU.
    unsafe {
        asm!(
            "ld {value}, {offset}(13)",
            value = out(reg) value,
            offset = const OFFSET,
            options(readonly, nostack, preserves_flags),
        );
    }
    value
}

/// Writes a doubleword of this CPU's data.
#[inline(always)]
fn store<const OFFSET: usize>(value: u64) {
    // SAFETY: writes a field of the struct that r13 points at, which is atomic.
    unsafe {
        asm!(
            "std {value}, {offset}(13)",
            value = in(reg) value,
            offset = const OFFSET,
            options(nostack, preserves_flags),
        );
    }
}

/// Address of the running thread; zero before there are threads.
#[must_use]
#[inline(always)]
pub fn current() -> u64 {
    load::<{ offset_of!(Cpu, current) }>()
}

/// Whether this is an interrupt's handler, or what it has called.
#[must_use]
#[inline(always)]
pub fn in_interrupt() -> bool {
    load::<{ offset_of!(Cpu, in_interrupt) }>() != 0
}

/// Sets [`in_interrupt`]. The scheduler keeps it while the thread does not run.
#[inline(always)]
pub fn set_in_interrupt(yes: bool) {
    store::<{ offset_of!(Cpu, in_interrupt) }>(u64::from(yes));
}

/// The kernel's TOC pointer: what r2 holds in kernel code.
#[must_use]
#[inline(always)]
pub fn kernel_toc() -> u64 {
    load::<{ offset_of!(Cpu, entry.toc) }>()
}

/// The lowest r1 of the running thread's stack that leaves room for an interrupt.
#[must_use]
#[inline(always)]
pub fn stack_floor() -> u64 {
    load::<{ offset_of!(Cpu, entry.stack_floor) }>()
}

/// Where the running thread's livepatch stack ends now; the scheduler keeps it while the thread
/// does not run.
#[must_use]
#[inline(always)]
pub fn livepatch_stack() -> u64 {
    load::<{ offset_of!(Cpu, entry.livepatch_stack) }>()
}

/// Sets [`livepatch_stack`].
#[inline(always)]
pub fn set_livepatch_stack(end: u64) {
    store::<{ offset_of!(Cpu, entry.livepatch_stack) }>(end);
}

/// Where the running thread's stack begins, above its guard.
#[must_use]
#[inline(always)]
pub fn stack_bottom() -> u64 {
    load::<{ offset_of!(Cpu, stack_bottom) }>()
}

/// The highest r1 of the running thread's stack.
#[must_use]
#[inline(always)]
pub fn stack_top() -> u64 {
    load::<{ offset_of!(Cpu, entry.stack_top) }>()
}

/// The number of the CPU that has just executed this.
#[must_use]
#[inline(always)]
pub fn number() -> u32 {
    load::<{ offset_of!(Cpu, number) }>() as u32
}

/// Whether the running thread is in a guarded callback of ftrace: the stack pointer of its
/// trampoline, or zero. The scheduler keeps it while the thread does not run.
#[must_use]
#[inline(always)]
pub fn tracing() -> u64 {
    load::<{ offset_of!(Cpu, entry.tracing) }>()
}

/// Sets [`tracing`].
#[inline(always)]
pub fn set_tracing(tracing: u64) {
    store::<{ offset_of!(Cpu, entry.tracing) }>(tracing);
}
