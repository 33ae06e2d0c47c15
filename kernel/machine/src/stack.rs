//! The kernel's stacks and their guards.
//!
//! A guard is the page below a stack, and with translation on it is not there: the very store
//! that runs off the stack faults, and its interrupt, which finds r1 below where it would fit, goes on to the
//! fallback stack.
//!
//! In real mode no page can be made inaccessible, so a guard is a pattern there. Three things notice an overrun: interrupt entry,
//! when r1 is below where an interrupt still fits (it then goes on to the
//! fallback stack); every tick, when the pattern is damaged; and the end of the
//! run. The main stack lies at the top of memory, the threads' stacks below it and the
//! heap below those, so that what an overrun destroys before the next tick is
//! not the code that reports it.

use crate::{
    arch::{self, Cpu, MOST_CPUS, Stack},
    mmu::{self, MmuError, PAGE},
    platform,
};
use core::{cell::UnsafeCell, fmt, sync::atomic::Ordering};
use memmap::Range;

/// Size of the main stack, in bytes.
pub const MAIN_BYTES: u64 = 256 * 1024;
/// Size of the guard at a stack's low end, in bytes.
pub const GUARD_BYTES: u64 = 4096;
// No function of a module may step over it.
const _: () = assert!(klp::MOST_FRAME as u64 <= GUARD_BYTES);
/// Words at the guard's low end that show whether a stack was left there.
const LOWEST_WORDS: u64 = 128;
const FALLBACK_BYTES: usize = 32 * 1024;
/// What the guard consists of: no address, and no small number.
const PATTERN: u64 = 0x5af0_9ac3_6b1d_e247;

/// A stack in the image, for interrupts and reports that can't use another, behind its guard.
#[repr(C, align(4096))]
struct Spare {
    guard: UnsafeCell<[u8; GUARD_BYTES as usize]>,
    stack: UnsafeCell<[u8; FALLBACK_BYTES]>,
}

const _: () = assert!(align_of::<Spare>() as u64 == PAGE);

// SAFETY: only interrupt entry and the fault path use it, as a stack, through
// its address.
unsafe impl Sync for Spare {}

impl Spare {
    const fn new() -> Self {
        Self {
            guard: UnsafeCell::new([0; _]),
            stack: UnsafeCell::new([0; _]),
        }
    }

    fn stack(&'static self) -> Stack {
        let bottom = self.stack.get() as u64;
        // SAFETY: the static is private, aligned by its type, and handed
        // out as nothing but this stack.
        unsafe { Stack::new(bottom, bottom + FALLBACK_BYTES as u64) }
    }
}

/// One for each CPU, and one more. Of the last of these only the guard is used: above the stack before it.
static SPARE: [Spare; MOST_CPUS + 2] = [const { Spare::new() }; MOST_CPUS + 2];

/// A CPU's stack for interrupts that find r1 outside the running stack.
#[must_use]
pub fn fallback(cpu: usize) -> Stack {
    SPARE[cpu].stack()
}

fn last_resort() -> Stack {
    SPARE[MOST_CPUS].stack()
}

/// Takes away the pages of the guards of these stacks, and the stack that the kernel was entered on, which
/// nothing is on any more.
///
/// # Errors
/// [`MmuError`]
pub fn close_guards() -> Result<(), MmuError> {
    unsafe extern "C" {
        static __boot_stack_bottom: u8;
        static __boot_stack_top: u8;
    }
    for spare in &SPARE {
        let start = spare.guard.get() as u64;
        let guard = Range {
            start,
            end: start + GUARD_BYTES,
        };
        mmu::set(guard, None)?;
    }
    let boot = Range {
        start: (&raw const __boot_stack_bottom) as u64,
        end: (&raw const __boot_stack_top) as u64,
    };
    mmu::set(boot, None)
}

/// From now on, what goes wrong goes on the last stack there is: the fallback
/// stack carries the report of the first fault.
pub fn use_last_resort() {
    set_fallback(|_| last_resort());
}

fn set_fallback(stack: impl FnOnce(usize) -> Stack) {
    let off = arch::interrupts_off();
    let cpu = off.cpu();
    let top = stack(cpu.number() as usize).top();
    cpu.entry.fallback_stack.store(top, Ordering::Relaxed);
}

/// Fills in a stack's guard.
///
/// # Safety
/// [`GUARD_BYTES`] from `bottom` on are free, aligned to 8.
pub unsafe fn fill_guard(bottom: u64) {
    let guard = bottom as *mut u64;
    for word in 0..GUARD_BYTES as usize / size_of::<u64>() {
        // SAFETY: as the caller promises.
        unsafe { guard.add(word).write(PATTERN) };
    }
}

/// Back to the fallback stack, after a report that was not the last.
pub fn use_fallback() {
    set_fallback(fallback);
}

/// Whether the lowest words of the running stack's guard are as they were: then
/// nothing has run off its end, unless it jumped over them.
#[must_use]
pub fn lowest_is_intact() -> bool {
    if mmu::is_on() {
        return true;
    }
    let bottom = guard();
    (0..LOWEST_WORDS).all(|word| {
        let address = bottom + 8 * word;
        // SAFETY: the guard of the running stack, as in `check_guard`.
        unsafe { (address as *const u64).read_volatile() == PATTERN }
    })
}

/// Makes `stack` the one that interrupts accept, as long as they find room on it; and the livepatch stack
/// that ends at `livepatch` now the one that is pushed to.
///
/// # Safety
/// The guard of `stack` is there. Interrupts are off, and stay off until r1 is on it. The livepatch
/// stack is the same thread's.
pub unsafe fn use_stack(stack: &Stack, livepatch: u64) {
    let off = arch::interrupts_off();
    use_stack_on(off.cpu(), stack, livepatch);
}

/// The same for a CPU that does not run yet.
pub(crate) fn use_stack_on(cpu: &Cpu, stack: &Stack, livepatch: u64) {
    let floor = stack.bottom() + layout::INTERRUPT_ROOM as u64;
    cpu.stack_bottom.store(stack.bottom(), Ordering::Relaxed);
    cpu.entry.stack_floor.store(floor, Ordering::Relaxed);
    cpu.entry.stack_top.store(stack.top(), Ordering::Relaxed);
    cpu.entry
        .livepatch_stack
        .store(livepatch, Ordering::Relaxed);
}

/// Lowest address and end of the running stack.
#[must_use]
pub fn running() -> (u64, u64) {
    (arch::stack_bottom(), arch::stack_top())
}

/// Where the running stack's guard begins. Of no meaning before there is a stack.
#[must_use]
pub fn guard() -> u64 {
    arch::stack_bottom().wrapping_sub(GUARD_BYTES)
}

/// Whether an interrupt that finds this r1 still fits the running stack.
#[must_use]
pub fn is_running(r1: u64) -> bool {
    arch::stack_floor() <= r1 && r1 <= arch::stack_top()
}

/// All memory that frames may lie in: the running stack and the spare ones. In real mode, an
/// overrun stack reaches down to `r1`, as long as there is memory.
#[must_use]
pub fn bounds(r1: u64) -> [(u64, u64); 3] {
    let of = |stack: Stack| (stack.bottom(), stack.top());
    let (bottom, top) = running();
    let spare = [of(fallback(arch::number() as usize)), of(last_resort())];
    if mmu::is_on() {
        return [(bottom, top), spare[0], spare[1]];
    }
    let memory = platform::get()
        .memory
        .iter()
        .find(|range| range.start < bottom && bottom < range.end);
    let overrun = memory.is_some_and(|memory| memory.start <= r1 && r1 < bottom);
    [(if overrun { r1 } else { bottom }, top), spare[0], spare[1]]
}

/// A guard no longer holds its pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Damage {
    /// Highest address of a damaged word.
    pub address: u64,
    /// What it holds.
    pub found: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, found } = self;
        write!(
            f,
            "guard word at {address:#x} holds {found:#018x} instead of {PATTERN:#018x}"
        )
    }
}

/// Checks the running stack's guard, from its upper end: an overrun comes from
/// there. A guard that is not there is never damaged.
///
/// # Errors
/// [`Damage`], with the first word that is not as it was.
pub fn check_guard() -> Result<(), Damage> {
    if mmu::is_on() {
        return Ok(());
    }
    let bottom = guard();
    let words = GUARD_BYTES as usize / size_of::<u64>();
    for word in (0..words).rev() {
        let address = bottom + (word * size_of::<u64>()) as u64;
        // SAFETY: the guard of the running stack, which was filled in.
        // Volatile, because an overrun writes behind the compiler's back.
        let found = unsafe { (address as *const u64).read_volatile() };
        if found != PATTERN {
            return Err(Damage { address, found });
        }
    }
    Ok(())
}
