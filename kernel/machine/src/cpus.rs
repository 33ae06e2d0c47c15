//! The CPUs beside the one that boots: how they are started, and what one asks of another.
//!
//! A request is a bit in the other CPU's data, and an interrupt that makes it look
//! ([`arch::send_ipi`]). Four things are asked:
//! - to look whether a thread waits for a CPU ([`RESCHEDULE`]);
//! - to take part in a *synchronisation* ([`synchronise`]): to say that it is in no section
//!   that has kept interrupts off since before, and to fetch instructions anew;
//! - to call a function ([`call_on_others`]);
//! - to *pause* ([`pause_others`]), while this CPU reports a fault or gives the verdict.
//!
//! All but the first are waited for. A CPU that waits with interrupts off would not see what
//! others ask of it, and two that wait for each other would wait for ever. So
//! [`synchronise`] and [`call_on_others`] want interrupts on, and nothing that keeps them off, such as an
//! [`IrqLock`](crate::sync::IrqLock), may be held; and a CPU that waits for a lock pauses
//! there ([`while_waiting`]).
//!
//! `crates/models/src/cpus.rs` is a model of requests, synchronisations and calls. The names
//! of tests in the comments below are of its controls: each shows the failure that its ordering
//! prevents.

use crate::{
    arch::{self, CPUS, Cpu, InterruptsOff, Stack},
    lock_order::{self, Class},
    mmu, platform, stack, time,
};
use core::{
    fmt, ptr,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering},
    time::Duration,
};
use spin::mutex::SpinMutex;

/// To look whether a thread waits for a CPU.
pub const RESCHEDULE: u32 = 1 << 0;
const SYNCHRONISE: u32 = 1 << 1;
const PAUSE: u32 = 1 << 2;
const CALL: u32 = 1 << 3;

/// What a CPU is asked to do, in words, by the request's bit.
pub const REQUESTS: [&str; arch::REQUESTS] = ["look", "synchronise", "pause", "call"];

/// The number of the last synchronisation that was begun.
static ROUND: AtomicU64 = AtomicU64::new(0);
/// The CPU that has others pause, by its number and one; zero if none has.
static PAUSER: AtomicU32 = AtomicU32::new(0);
/// Counts the pauses, and their ends: odd while others are to pause.
static PAUSES: AtomicU64 = AtomicU64::new(0);
/// How many CPUs are up. They come up one by one and stay.
static UP: AtomicU32 = AtomicU32::new(1);

/// The CPU that is being started, by its number and one; zero once it has come up or was
/// given up, whichever is first.
static STARTING: AtomicU32 = AtomicU32::new(0);

/// How long a CPU may take to come up, or to pause: it is given up then.
const LONGEST: Duration = Duration::from_secs(5);

/// How many CPUs run the kernel.
#[must_use]
#[inline]
pub fn count() -> usize {
    // Acquire: what was written before a CPU came up is seen by those that count it.
    UP.load(Ordering::Acquire) as usize
}

/// Those that do, by number.
pub fn all() -> impl Iterator<Item = &'static Cpu> {
    CPUS.iter().filter(|cpu| cpu.is_up.load(Ordering::Acquire))
}

/// How often all CPUs together were interrupted for each request, by its bit.
#[must_use]
pub fn taken() -> [u64; REQUESTS.len()] {
    let mut sum = [0; REQUESTS.len()];
    for cpu in all() {
        for (sum, taken) in sum.iter_mut().zip(&cpu.taken) {
            *sum += taken.load(Ordering::Relaxed);
        }
    }
    sum
}

/// Why a CPU is not used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CpuError {
    /// Firmware names no way to start CPUs.
    NoService,
    /// Firmware has refused, with this status (PAPR 7.3.8.3).
    Refused(i32),
    /// It was started, and has not come up.
    Silent,
    /// There is no memory for its stacks.
    OutOfMemory,
    /// The kernel has no room for as many.
    TooMany,
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService => f.write_str("firmware names no service `start-cpu`"),
            Self::Refused(status) => write!(f, "firmware does not start it, status {status}"),
            Self::Silent => write!(f, "it has not come up within {LONGEST:?}"),
            Self::OutOfMemory => f.write_str("no memory for its stacks"),
            Self::TooMany => write!(f, "the kernel uses {} at most", arch::MOST_CPUS),
        }
    }
}

/// Whether no further CPU is started. Those that are up go on then.
static ALL_ARE_STARTED: AtomicBool = AtomicBool::new(false);

/// What a CPU runs when it comes up.
static ENTRY: spin::Once<fn() -> !> = spin::Once::new();

unsafe extern "C" {
    /// `boot/src/entry.S`.
    fn secondary_start();
}

/// What a CPU needs that is to be started.
#[derive(Debug)]
pub struct Resources {
    /// What it runs on, above its guard.
    pub stack: Stack,
    /// Where its livepatch stack begins.
    pub livepatch_stack: u64,
    /// The thread that it is then, as [`arch::current`] has it.
    pub thread: u64,
}

/// Starts every CPU that the device tree names and that does not run yet, one by one.
/// `prepare` is given the number of each and returns what it needs; the CPU then calls
/// `entry` with interrupts off. `failed` is told the hardware ids of those that stay off.
pub fn start_others(
    handler: arch::Handler,
    entry: fn() -> !,
    mut prepare: impl FnMut(u32) -> Result<Resources, CpuError>,
    mut failed: impl FnMut(u32, CpuError),
) {
    ENTRY.call_once(|| entry);
    let own = CPUS[0].hardware_id.load(Ordering::Relaxed);
    for &hardware_id in platform::get().hardware_ids.iter().filter(|&&id| id != own) {
        let number = count();
        let started = match CPUS.get(number) {
            None => Err(CpuError::TooMany),
            Some(cpu) => prepare(number as u32)
                .and_then(|with| start(cpu, number, hardware_id, handler, &with)),
        };
        if let Err(error) = started {
            failed(hardware_id, error);
            // It may still come, to `secondary_main`: its stacks and its place are lost.
            if error == CpuError::Silent {
                break;
            }
        }
    }
    ALL_ARE_STARTED.store(true, Ordering::Release);
}

fn start(
    cpu: &'static Cpu,
    number: usize,
    hardware_id: u32,
    handler: arch::Handler,
    with: &Resources,
) -> Result<(), CpuError> {
    cpu.number.store(number as u64, Ordering::Relaxed);
    cpu.hardware_id.store(hardware_id, Ordering::Relaxed);
    cpu.current.store(with.thread, Ordering::Relaxed);
    cpu.use_vectors(handler, &stack::fallback(number));
    stack::use_stack_on(cpu, &with.stack, with.livepatch_stack);
    // Address and argument are cells of 32 bits: the image lies below 4 GiB.
    let entry = secondary_start as *const () as u32;
    let argument = ptr::from_ref(cpu).addr() as u32;
    STARTING.store(number as u32 + 1, Ordering::Release);
    platform::start_cpu(hardware_id, entry, argument)?;
    let deadline = arch::timebase() + time::timebase_ticks(LONGEST);
    // Acquire: pairs with its Release in `secondary_main`.
    while !cpu.is_up.load(Ordering::Acquire) {
        if arch::timebase() > deadline && decide(number as u32) {
            return Err(CpuError::Silent);
        }
        arch::spin();
    }
    // Release: pairs with `count`.
    UP.fetch_add(1, Ordering::Release);
    Ok(())
}

/// Decides whether a CPU is up, which the CPU itself wants, or given up, which the one that
/// starts it wants: true for the first of them.
fn decide(number: u32) -> bool {
    (STARTING.compare_exchange(number + 1, 0, Ordering::AcqRel, Ordering::Acquire)).is_ok()
}

/// Where a further CPU enters Rust, with interrupts off.
#[unsafe(no_mangle)]
extern "C" fn secondary_main() -> ! {
    mmu::enter(arch::interrupts_off());
    let off = arch::interrupts_off();
    while !decide(off.cpu().number()) {
        // It was given up: no CPU knows of it, so it may run nothing.
        arch::spin();
    }
    arch::accept_ipis();
    // Those before it have asked nothing of this CPU.
    let round = ROUND.load(Ordering::Acquire);
    off.cpu().synchronised.store(round, Ordering::Relaxed);
    // Release: the CPU that sees it up sees its data.
    off.cpu().is_up.store(true, Ordering::Release);
    // One that runs threads while others come up could wait for one that it has not asked.
    while !ALL_ARE_STARTED.load(Ordering::Acquire) {
        arch::spin();
    }
    off.for_good();
    let entry = ENTRY.get().expect("`start_others` has set it");
    entry()
}

/// Asks something of a CPU.
pub fn ask(cpu: &Cpu, request: u32) {
    // Release: what was written before is seen by the CPU when it takes the request. Or it could
    // take part in an older round only, and this one would wait for ever (`control_asks_relaxed`).
    cpu.requests.fetch_or(request, Ordering::Release);
    arch::send_ipi(cpu.hardware_id.load(Ordering::Relaxed));
}

/// Deals with an external interrupt. Says whether this CPU is to look for threads. Called by
/// the interrupt handler.
pub fn take_requests(off: &InterruptsOff) -> bool {
    let cpu = off.cpu();
    arch::take_ipi(cpu.hardware_id.load(Ordering::Relaxed));
    // Acquire: pairs with `ask` (`control_takes_requests_relaxed`).
    let requests = cpu.requests.swap(0, Ordering::Acquire);
    for (bit, taken) in cpu.taken.iter().enumerate() {
        // No other CPU writes it.
        let now = taken.load(Ordering::Relaxed) + u64::from(requests >> bit & 1);
        taken.store(now, Ordering::Relaxed);
    }
    if requests & SYNCHRONISE != 0 {
        // Acquire: the round may be a later one than that which has asked, and what was written
        // before that one must be seen, too (`control_loads_the_round_relaxed`).
        take_part(cpu, ROUND.load(Ordering::Acquire));
    }
    if requests & CALL != 0 {
        make_call();
    }
    if requests & PAUSE != 0 {
        pause();
    }
    requests & RESCHEDULE != 0
}

/// Has this CPU taken part in the rounds up to `round`.
fn take_part(cpu: &Cpu, round: u64) {
    arch::synchronise_fetch();
    // For `text::sync`: what this CPU stores next to code is seen by QEMU as such.
    arch::forget_translations(mmu::kind() == mmu::Kind::Radix);
    // Release: what this CPU has read and done until now is over for the CPU that waits, which
    // may free it (`control_takes_part_relaxed`).
    cpu.synchronised.fetch_max(round, Ordering::Release);
}

/// A moment, by the rounds of synchronisation that were begun before it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(u64);

impl Moment {
    /// Before all others.
    pub const ZERO: Self = Self(0);
}

/// This moment, for [`synchronise_since`].
#[must_use]
#[inline]
pub fn now() -> Moment {
    if count() == 1 {
        return Moment::ZERO;
    }
    // A write that changes nothing, for a load could see an old number
    // (`control_takes_the_moment_by_a_load`). Release: the next round begins with what was written
    // before it (`control_takes_the_moment_relaxed`).
    Moment(ROUND.fetch_add(0, Ordering::Release))
}

/// Returns when every CPU has passed a point at which it had interrupts on, and has fetched
/// its instructions anew since.
///
/// So every section that keeps interrupts off, on any CPU, either was over by then or has
/// seen all that was written before this call; and no CPU runs a word of code any more that
/// was replaced before. Without it, a CPU could be just behind the load of a pointer, a
/// number or a word of code that the caller has changed, and use what it has loaded at any
/// later time.
///
/// # Panics
/// When interrupts are off and there are several CPUs: the caller holds a lock, or is a handler.
pub fn synchronise() {
    synchronise_since(now());
}

/// The same for what was written before a moment: does not wait if all CPUs have passed such a point
/// since then, because it, or another thread, has waited for that.
///
/// # Panics
/// As [`synchronise`].
pub fn synchronise_since(moment: Moment) {
    lock_order::wait_for_others();
    arch::synchronise_fetch();
    // Acquire: pairs with `take_part` (`control_waits_relaxed`).
    let have_passed = |round| all().all(|cpu| cpu.synchronised.load(Ordering::Acquire) >= round);
    if count() == 1 || have_passed(moment.0 + 1) {
        return;
    }
    assert!(
        arch::interrupts_are_on(),
        "a CPU waits for others with interrupts off"
    );
    let round = {
        let off = arch::interrupts_off();
        // Release: what was written before the round is seen by the CPUs that take part in it
        // (`control_begins_a_round_without_release`). Acquire: this CPU takes part in earlier
        // rounds by it, and must see what was written before those
        // (`control_begins_a_round_without_acquire`).
        let round = ROUND.fetch_add(1, Ordering::AcqRel) + 1;
        take_part(off.cpu(), round);
        for cpu in all().filter(|cpu| !ptr::eq(*cpu, off.cpu())) {
            ask(cpu, SYNCHRONISE);
        }
        round
    };
    while !have_passed(round) {
        arch::spin();
    }
}

/// A call that one CPU has others make.
struct Call<'a> {
    function: &'a (dyn Fn() + Sync),
    /// How many have still to make it.
    remaining: AtomicU32,
}

/// The call that is asked for; null if none is.
static CALLED: AtomicPtr<Call<'static>> = AtomicPtr::new(ptr::null_mut());
/// Held by the thread that asks, over the wait. It leaves interrupts on.
static CALLER: SpinMutex<(), LetOthersRun> = SpinMutex::new(());
static CALLER_CLASS: Class = Class::named("machine::CALLER");

/// What a CPU does that waits for [`CALLER`]: it takes requests meanwhile.
struct LetOthersRun;

impl spin::RelaxStrategy for LetOthersRun {
    fn relax() {
        arch::spin();
    }
}

/// Has every other CPU call a function in its interrupt handler, and waits for all of them.
///
/// # Panics
/// When interrupts are off.
pub fn call_on_others(function: &(dyn Fn() + Sync)) {
    lock_order::wait_for_others();
    assert!(
        arch::interrupts_are_on(),
        "a CPU waits for others with interrupts off"
    );
    let _held = CALLER_CLASS.by_thread();
    let _one = CALLER.lock();
    let call = Call {
        function,
        remaining: AtomicU32::new(0),
    };
    {
        let off = arch::interrupts_off();
        let others = || all().filter(|cpu| !ptr::eq(*cpu, off.cpu()));
        call.remaining
            .store(others().count() as u32, Ordering::Relaxed);
        // Release: a CPU that finds it finds it whole. Before the request, or the CPU could
        // look too early and never again (`control_asks_before_the_call_is_there`).
        CALLED.store(ptr::from_ref(&call).cast_mut().cast(), Ordering::Release);
        others().for_each(|cpu| ask(cpu, CALL));
    }
    while call.remaining.load(Ordering::Acquire) > 0 {
        arch::spin();
    }
}

fn make_call() {
    let call = CALLED.load(Ordering::Acquire);
    // SAFETY: this CPU was asked for a call, whose maker waits until it is done.
    let call = unsafe { &*call };
    (call.function)();
    // Release: what the function has written is seen by the CPU that waits
    // (`control_says_that_the_call_is_done_relaxed`). The call is not looked at afterwards.
    call.remaining.fetch_sub(1, Ordering::Release);
}

/// Waits until the others pause, for the report of a fault or the verdict. Locks may be held, for a CPU
/// that waits for one pauses too. A second CPU that wants the same pauses itself first.
pub fn pause_others(off: &InterruptsOff) {
    let me = off.cpu().number() + 1;
    while let Err(other) = PAUSER.compare_exchange(0, me, Ordering::AcqRel, Ordering::Acquire) {
        if other == me {
            return;
        }
        pause();
    }
    let pause = PAUSES.fetch_add(1, Ordering::AcqRel) + 1;
    for cpu in all().filter(|cpu| cpu.number() + 1 != me) {
        ask(cpu, PAUSE);
    }
    let deadline = arch::timebase().saturating_add(pause_ticks());
    for cpu in all().filter(|cpu| cpu.number() + 1 != me) {
        // Acquire: what the CPU has done is done. It must have seen this very pause: one that
        // is just leaving the last one still runs.
        while cpu.paused.load(Ordering::Acquire) < pause {
            if arch::timebase() > deadline {
                // It has interrupts off and waits for no lock: it goes without this one.
                break;
            }
            arch::spin();
        }
    }
}

/// The clock's frequency may not be known yet; then there is one CPU.
fn pause_ticks() -> u64 {
    platform::try_get().map_or(0, |_| time::timebase_ticks(LONGEST))
}

/// Lets them go on.
pub fn resume_others() {
    // Release: what was written meanwhile is seen by those that go on.
    PAUSES.fetch_add(1, Ordering::Release);
    PAUSER.store(0, Ordering::Release);
}

/// Pauses for as long as another CPU wants it. Interrupts are off. Never traced, as [`while_waiting`].
#[cold]
#[inline(never)]
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn pause() {
    let me = arch::number();
    loop {
        let pause = PAUSES.load(Ordering::Acquire);
        if pause.is_multiple_of(2) || PAUSER.load(Ordering::Acquire) == me + 1 {
            return;
        }
        // Release: what this CPU has done is over for the one that waits.
        let paused = &CPUS[me as usize].paused;
        paused.store(pause, Ordering::Release);
        arch::spin();
    }
}

/// What a CPU does between two looks at a lock that another holds. The holder may be the
/// CPU that has the others pause, so this one pauses here.
///
/// Out of line, for there are locks everywhere, and never traced: it runs while sites are
/// written.
#[cold]
#[inline(never)]
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
pub fn while_waiting() {
    if PAUSER.load(Ordering::Relaxed) != 0 {
        pause();
    }
    arch::spin();
}
