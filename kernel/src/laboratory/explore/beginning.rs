//! The beginning of a transition, stopped at every instruction: wherever interrupts are on,
//! another thread calls the function. It has not switched, so it must get what it got
//! before. Where they are off nothing comes in between, and that is how the number of the
//! transition and the codes of its functions appear at one moment; a version that lets
//! threads run in between is found here. See `Registry::publish` for the order of the two.
//!
//! It is the same code for all variants, so it is explored once, with the first of them.

use super::{
    PATCH,
    calls::{self, Caller, Watched},
    disturbance::{enable, text},
    judge, situation, step,
};
use crate::{
    arch, console,
    ftrace::{self, Filter, Flags, Ops},
    interrupt, livepatch,
    symbols::Place,
    sync::IrqLock,
    text as code,
    thread::{self, Handle, Thread},
    time,
};
use alloc::{format, string::String, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};
use layout::{CallFrame, TrapFrame};
use ppc64::{insn, msr, vector};
use report::Record;

/// What is explored: this function, from its site to its return.
const BEGIN: &str = "kernel::livepatch::transition::begin";

/// More stops than it has.
const MOST: usize = 50_000;

/// Of the stops with interrupts on, a short run takes each so many-th, and the first behind
/// each stretch without.
const SHORT: usize = 97;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nothing is stepped.
    None,
    /// The next call of the function is.
    Armed,
    /// It is being called, by the trampoline.
    Entering,
    /// At each stop it is looked whether it is the one.
    Stepping,
    /// The other thread makes its call, and has the CPU at every stop.
    Calling,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    phase: Phase,
    thread: u32,
    /// Behind the function's site, and where it returns to.
    way: [u64; 2],
    stops: usize,
    masked: usize,
    /// Which of the stops with interrupts on is the one.
    wanted: Option<usize>,
    expected: u64,
    after_masked: bool,
    at: Option<u64>,
    /// Address and value of the last load-and-reserve.
    reservation: Option<(u64, u64)>,
    is_lost: bool,
}

impl Run {
    const NONE: Self = Self {
        phase: Phase::None,
        thread: 0,
        way: [0; 2],
        stops: 0,
        masked: 0,
        wanted: None,
        expected: 0,
        after_masked: false,
        at: None,
        reservation: None,
        is_lost: false,
    };
}

static RUN: IrqLock<Run> = IrqLock::new(Run::NONE);

/// Of each stop with interrupts on, in the last run that nothing was done in: whether they
/// have just come on.
static OPEN: IrqLock<Vec<bool>> = IrqLock::new(Vec::new());

static BEGINS: Ops = Ops::new("begins", begins, Flags::empty());

/// What the other thread's call is to return; zero if it is to make none.
static ASKED: AtomicU64 = AtomicU64::new(0);
static MADE: IrqLock<Option<Watched>> = IrqLock::new(None);
/// For [`ASKED`].
const QUIT: u64 = u64::MAX;

/// The function is called: from here on every instruction traps.
extern "C" fn begins(ip: u64, parent: u64, _: &Ops, _: &mut CallFrame) {
    let mut run = RUN.lock();
    let is_it = thread::with_current(Thread::id) == Some(run.thread);
    if run.phase != Phase::Armed || !is_it {
        return;
    }
    run.phase = Phase::Entering;
    run.way = [ip, parent];
    drop(run);
    // SAFETY: `watch` sees the traps.
    unsafe { arch::step_from_here() };
}

/// The thread that calls.
fn caller() {
    loop {
        thread::park();
        match ASKED.swap(0, Ordering::Relaxed) {
            0 => {}
            QUIT => return,
            expected => *MADE.lock() = Some(calls::call(Caller::Partner, expected)),
        }
    }
}

static CALLER: IrqLock<Option<Handle>> = IrqLock::new(None);

fn ask(what: u64) {
    ASKED.store(what, Ordering::Relaxed);
    if let Some(caller) = &*CALLER.lock() {
        caller.thread().unpark();
    }
}

/// Sees the traps: see [`crate::interrupt::watch`].
fn watch(frame: &mut TrapFrame) -> bool {
    let mut run = RUN.lock();
    let is_it = thread::with_current(Thread::id) == Some(run.thread);
    if frame.vector != vector::TRACE || run.phase == Phase::None || !is_it {
        return false;
    }
    loop {
        stopped(frame, &mut run);
        let steps = frame.msr & msr::SE != 0;
        if !steps || !execute_atomic(frame, &mut run.reservation) {
            break;
        }
    }
    let calls = run.phase == Phase::Calling && frame.msr & msr::EE != 0;
    if calls {
        run.reservation = None;
    }
    drop(run);
    if calls {
        if MADE.lock().is_none() {
            thread::preempt();
        }
        if MADE.lock().is_some() {
            frame.msr &= !msr::SE;
        }
    }
    true
}

fn stopped(frame: &mut TrapFrame, run: &mut Run) {
    let [ip, home] = run.way;
    if run.phase == Phase::Entering {
        if frame.nip != ip {
            return;
        }
        run.phase = Phase::Stepping;
    }
    run.is_lost = run.stops >= MOST;
    if frame.nip == home || run.is_lost {
        frame.msr &= !msr::SE;
        return;
    }
    run.stops += 1;
    if frame.msr & msr::EE == 0 {
        run.masked += 1;
        run.after_masked = true;
        return;
    }
    let number = run.stops - run.masked - 1;
    if run.wanted.is_none() {
        OPEN.lock().push(run.after_masked);
    }
    run.after_masked = false;
    if run.phase == Phase::Stepping && run.wanted == Some(number) {
        run.at = Some(frame.nip);
        run.phase = Phase::Calling;
        ask(run.expected);
    }
}

/// Executes a load-and-reserve or a store-conditional in place of the CPU (ISA Book II,
/// 4.6.2): the trap between the two takes the CPU's own reservation away. Says whether the
/// next instruction is one.
fn execute_atomic(frame: &mut TrapFrame, reservation: &mut Option<(u64, u64)>) -> bool {
    let Some(atomic) = insn::atomic(code::read(frame.nip)) else {
        return false;
    };
    let base = if atomic.base == 0 {
        0
    } else {
        frame.gpr[atomic.base]
    };
    let address = base.wrapping_add(frame.gpr[atomic.index]);
    // SAFETY: the instruction would do the same, and the address is as it must be for it.
    let value = unsafe {
        match atomic.bytes {
            1 => u64::from((address as *const u8).read_volatile()),
            2 => u64::from((address as *const u16).read_volatile()),
            4 => u64::from((address as *const u32).read_volatile()),
            _ => (address as *const u64).read_volatile(),
        }
    };
    if atomic.stores {
        let is_right = reservation.take() == Some((address, value));
        if is_right {
            let new = frame.gpr[atomic.register];
            // SAFETY: as above.
            unsafe {
                match atomic.bytes {
                    1 => (address as *mut u8).write_volatile(new as u8),
                    2 => (address as *mut u16).write_volatile(new as u16),
                    4 => (address as *mut u32).write_volatile(new as u32),
                    _ => (address as *mut u64).write_volatile(new),
                }
            }
        }
        // CR0: equal if it has stored, and the summary overflow.
        let field = u64::from(is_right) << 1 | frame.xer >> 31 & 1;
        frame.cr = frame.cr & 0x0fff_ffff | field << 28;
    } else {
        frame.gpr[atomic.register] = value;
        *reservation = Some((address, value));
    }
    frame.nip += 4;
    true
}

/// Explores both kinds of transitions. Says how many findings there are.
///
/// # Errors
/// What keeps it from going on.
pub fn explore(short: bool) -> Result<u32, String> {
    situation::take_down()?;
    OPEN.lock().reserve_exact(MOST);
    *CALLER.lock() = Some(thread::spawn("caller", caller).map_err(text)?);
    ftrace::register(&BEGINS, &Filter::only(&[BEGIN]))
        .map_err(|error| format!("{BEGIN}: {error}"))?;
    interrupt::watch(Some(watch));
    let result = (explore_kind(true, short)).and_then(|one| Ok(one + explore_kind(false, short)?));
    interrupt::watch(Some(step::watch));
    ask(QUIT);
    let caller = CALLER.lock().take();
    if let Some(caller) = caller {
        caller.join().map_err(text)?;
    }
    ftrace::unregister(&BEGINS).map_err(text)?;
    *OPEN.lock() = Vec::new();
    result
}

fn explore_kind(enabling: bool, short: bool) -> Result<u32, String> {
    let what = if enabling {
        "beginning to enable"
    } else {
        "beginning to disable"
    };
    let mut run = Run::NONE;
    for _ in 0..3 {
        // The first times, tables grow.
        OPEN.lock().clear();
        run = attempt(enabling, None)?.0;
    }
    if run.stops == 0 || run.is_lost {
        return Err(format!("{what}: {} stops", run.stops));
    }
    let open = OPEN.lock().len();
    let (mut runs, mut findings, mut missed) = (3, 0, 0);
    for number in 0..open {
        let is_first = OPEN.lock()[number];
        if short && !is_first && number % SHORT != 0 {
            continue;
        }
        runs += 1;
        let (run, made) = attempt(enabling, Some(number))?;
        let Some(at) = run.at else {
            // The allocator does not take the same way each time.
            missed += 1;
            continue;
        };
        let made = made.ok_or("the other thread has not made its call")?;
        if let Some(wrong) = judge::wrong_call(&made) {
            findings += 1;
            println!(
                "FOUND {what}, another thread's call at {at:#x} {}: {wrong}",
                Place(at)
            );
        }
    }
    if missed > runs / 4 {
        return Err(format!(
            "{what}: {missed} of {runs} stops were not reached again"
        ));
    }
    println!(
        "{what}: {} stops ({} masked), {runs} runs: {findings} findings",
        run.stops, run.masked
    );
    console::report(&Record::Explored {
        variant: "all",
        situation: what,
        stops: run.stops as u32,
        masked: run.masked as u32,
        disturbances: 1,
        runs,
        findings,
    });
    Ok(findings)
}

/// Enables the patch and disables it, one of the two in steps.
fn attempt(enabling: bool, wanted: Option<usize>) -> Result<(Run, Option<Watched>), String> {
    let mut result = (Run::NONE, None);
    for enables in [true, false] {
        let is_stepped = enables == enabling;
        if is_stepped {
            *MADE.lock() = None;
            *RUN.lock() = Run {
                phase: Phase::Armed,
                thread: thread::current().id(),
                wanted,
                // Of a thread that has not switched.
                expected: calls::expectation(),
                ..Run::NONE
            };
            arch::set_decrementer(i32::MAX);
        }
        let changed = if enables {
            enable(PATCH)
        } else {
            livepatch::disable(PATCH).map_err(text)
        };
        if is_stepped {
            result.0 = core::mem::replace(&mut *RUN.lock(), Run::NONE);
            time::start();
            let limit = arch::timebase() + time::timebase_ticks(time::TICK * 1000);
            while result.0.at.is_some() && MADE.lock().is_none() && arch::timebase() < limit {
                thread::yield_now();
            }
            result.1 = MADE.lock().take();
        }
        changed?;
        livepatch::wait();
    }
    Ok(result)
}
