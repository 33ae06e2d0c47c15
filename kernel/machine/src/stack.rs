//! The kernel's stacks and their guards.
//!
//! In real mode no page can be made inaccessible, so a guard is a pattern at
//! the low end of a stack. Three things notice an overrun: interrupt entry,
//! when r1 is below where an interrupt still fits (it then goes on to the
//! fallback stack); every tick, when the pattern is damaged; and the end of the
//! run. The main stack lies at the top of memory, the threads' stacks below it and the
//! heap below those, so that what an overrun destroys before the next tick is
//! not the code that reports it.

use crate::{
    arch::{self, Cpu, MOST_CPUS, Stack},
    platform,
};
use core::{cell::UnsafeCell, fmt, sync::atomic::Ordering};

/// Size of the main stack, in bytes.
pub const MAIN_BYTES: u64 = 256 * 1024;
/// Size of the guard at a stack's low end, in bytes.
pub const GUARD_BYTES: u64 = 4096;
/// Words at the guard's low end that show whether a stack was left there.
const LOWEST_WORDS: u64 = 128;
const FALLBACK_BYTES: usize = 32 * 1024;
/// What the guard consists of: no address, and no small number.
const PATTERN: u64 = 0x5af0_9ac3_6b1d_e247;

/// A stack in the image, for interrupts and reports that can't use another.
#[repr(C, align(16))]
struct Spare(UnsafeCell<[u8; FALLBACK_BYTES]>);

// SAFETY: only interrupt entry and the fault path use it, as a stack, through
// its address.
unsafe impl Sync for Spare {}

/// One for each CPU.
static FALLBACK: [Spare; MOST_CPUS] =
    [const { Spare(UnsafeCell::new([0; FALLBACK_BYTES])) }; MOST_CPUS];
static LAST_RESORT: Spare = Spare(UnsafeCell::new([0; FALLBACK_BYTES]));

impl Spare {
    fn stack(&'static self) -> Stack {
        let bottom = self.0.get() as u64;
        // SAFETY: the static is private, aligned to 16 by its type, and handed
        // out as nothing but this stack.
        unsafe { Stack::new(bottom, bottom + FALLBACK_BYTES as u64) }
    }
}

/// A CPU's stack for interrupts that find r1 outside the running stack.
#[must_use]
pub fn fallback(cpu: usize) -> Stack {
    FALLBACK[cpu].stack()
}

/// From now on, what goes wrong goes on the last stack there is: the fallback
/// stack carries the report of the first fault.
pub fn use_last_resort() {
    set_fallback(|_| LAST_RESORT.stack());
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
/// The lowest [`GUARD_BYTES`] of `stack` are free.
pub unsafe fn fill_guard(stack: &Stack) {
    let guard = stack.bottom() as *mut u64;
    for word in 0..GUARD_BYTES as usize / size_of::<u64>() {
        // SAFETY: inside the stack; the caller guarantees that its low end is free.
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
    let (bottom, _) = running();
    (0..LOWEST_WORDS).all(|word| {
        let address = bottom + 8 * word;
        // SAFETY: the guard of the running stack, as in `check_guard`.
        unsafe { (address as *const u64).read_volatile() == PATTERN }
    })
}

/// The lowest r1 that `stack` allows while its livepatch stack is empty: above the guard
/// there is room for an interrupt.
#[must_use]
pub fn lowest_floor(stack: &Stack) -> u64 {
    stack.bottom() + GUARD_BYTES + layout::INTERRUPT_ROOM as u64
}

/// Makes `stack` the one that interrupts accept, down to `floor`: its
/// [`lowest_floor`], or what its floor was when it was left.
///
/// # Safety
/// The guard of `stack` is filled in. Interrupts are off, and stay off until r1 is on it.
pub unsafe fn use_stack(stack: &Stack, floor: u64) {
    let off = arch::interrupts_off();
    use_stack_on(off.cpu(), stack, floor);
}

/// The same for a CPU that does not run yet.
pub(crate) fn use_stack_on(cpu: &Cpu, stack: &Stack, floor: u64) {
    cpu.stack_bottom.store(stack.bottom(), Ordering::Relaxed);
    cpu.entry.stack_floor.store(floor, Ordering::Relaxed);
    cpu.entry.stack_top.store(stack.top(), Ordering::Relaxed);
}

/// Lowest address and end of the running stack.
#[must_use]
pub fn running() -> (u64, u64) {
    (arch::stack_bottom(), arch::stack_top())
}

/// Whether an interrupt that finds this r1 still fits the running stack.
#[must_use]
pub fn is_running(r1: u64) -> bool {
    arch::stack_floor() <= r1 && r1 <= arch::stack_top()
}

/// All memory that frames may lie in: the running stack and the spare ones. An
/// overrun stack reaches down to `r1`, as long as there is memory.
#[must_use]
pub fn bounds(r1: u64) -> [(u64, u64); 3] {
    let spare = |spare: &'static Spare| (spare.stack().bottom(), spare.stack().top());
    let (bottom, top) = running();
    let memory = platform::get()
        .memory
        .iter()
        .find(|range| range.start < bottom && bottom < range.end);
    let overrun = memory.is_some_and(|memory| memory.start <= r1 && r1 < bottom);
    [
        (if overrun { r1 } else { bottom }, top),
        spare(&FALLBACK[arch::number() as usize]),
        spare(&LAST_RESORT),
    ]
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
/// there.
///
/// # Errors
/// [`Damage`], with the first word that is not as it was.
pub fn check_guard() -> Result<(), Damage> {
    let (bottom, _) = running();
    let words = GUARD_BYTES as usize / size_of::<u64>();
    for word in (0..words).rev() {
        let address = bottom + (word * size_of::<u64>()) as u64;
        // SAFETY: the guard of the running stack, which `make_running` filled.
        // Volatile, because an overrun writes behind the compiler's back.
        let found = unsafe { (address as *const u64).read_volatile() };
        if found != PATTERN {
            return Err(Damage { address, found });
        }
    }
    Ok(())
}
