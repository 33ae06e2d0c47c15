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
    judge, situation,
};
use crate::single_step::{self, At, Next};
use alloc::{format, string::String, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};
use ftrace::{Filter, Flags, Ops};
use layout::{CallFrame, TrapFrame};
use machine::{arch, console, symbols::Place, sync::IrqLock, time};
use ppc64::msr;
use report::Record;
use thread::Handle;

/// What is explored: this function, from its site to its return.
const BEGIN: &str = "livepatch::transition::begin";

/// More stops than it has.
const MOST: usize = 50_000;

/// Of the stops with interrupts on, a short run takes each so many-th, and the first behind
/// each stretch without.
const SHORT: usize = 97;

/// An attempt.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    /// The trampoline has come to [`IP`].
    is_inside: bool,
    stops: usize,
    masked: usize,
    /// Which of the stops with interrupts on is the one.
    wanted: Option<usize>,
    expected: u64,
    after_masked: bool,
    /// Where it was: the other thread makes its call, and has the CPU at every stop.
    at: Option<u64>,
    is_lost: bool,
}

/// Of each stop with interrupts on, in the last run that nothing was done in: whether they
/// have just come on.
static OPEN: IrqLock<Vec<bool>> = IrqLock::new(Vec::new());

/// Behind the function's site.
static IP: AtomicU64 = AtomicU64::new(0);

static BEGINS: Ops = Ops::new("begins", begins, Flags::empty());

/// What the other thread's call is to return; zero if it is to make none.
static ASKED: AtomicU64 = AtomicU64::new(0);
static MADE: IrqLock<Option<Watched>> = IrqLock::new(None);
/// For [`ASKED`].
const QUIT: u64 = u64::MAX;

/// The function is called: from here to its return every instruction traps.
extern "C" fn begins(ip: u64, parent: u64, _: &Ops, _: &mut CallFrame) {
    IP.store(ip, Ordering::Relaxed);
    // SAFETY: interrupts are on where a transition begins, and it returns to there.
    unsafe { single_step::from_here(parent) };
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

impl Run {
    fn visit(&mut self, frame: &TrapFrame, at: At) -> Next {
        self.is_inside |= frame.nip == IP.load(Ordering::Relaxed);
        if at != At::Instruction || !self.is_inside {
            return Next::Step;
        }
        self.is_lost = self.stops >= MOST;
        if self.is_lost {
            return Next::Run;
        }
        self.stops += 1;
        if frame.msr & msr::EE == 0 {
            self.masked += 1;
            self.after_masked = true;
            return Next::Step;
        }
        let number = self.stops - self.masked - 1;
        if self.wanted.is_none() {
            OPEN.lock().push(self.after_masked);
        }
        self.after_masked = false;
        if self.wanted == Some(number) {
            self.at = Some(frame.nip);
            ask(self.expected);
        }
        if self.at.is_none() {
            return Next::Step;
        }
        if MADE.lock().is_none() {
            thread::preempt();
        }
        if MADE.lock().is_none() {
            Next::Step
        } else {
            Next::Run
        }
    }
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
    let result = (explore_kind(true, short)).and_then(|one| Ok(one + explore_kind(false, short)?));
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
    let mut run = Run::default();
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
        waited: 0,
        findings,
    });
    Ok(findings)
}

/// Enables the patch and disables it, one of the two in steps.
fn attempt(enabling: bool, wanted: Option<usize>) -> Result<(Run, Option<Watched>), String> {
    let mut result = (Run::default(), None);
    for enables in [true, false] {
        let change = || {
            if enables {
                enable(PATCH)
            } else {
                livepatch::disable(PATCH).map_err(text)
            }
        };
        let changed = if enables == enabling {
            *MADE.lock() = None;
            let mut run = Run {
                wanted,
                // Of a thread that has not switched.
                expected: calls::expectation(),
                ..Run::default()
            };
            arch::set_decrementer(i32::MAX);
            let changed = single_step::run(&mut |frame, at| run.visit(frame, at), change);
            time::start();
            let limit = arch::timebase() + time::timebase_ticks(time::TICK * 1000);
            while run.at.is_some() && MADE.lock().is_none() && arch::timebase() < limit {
                thread::yield_now();
            }
            result = (run, MADE.lock().take());
            changed
        } else {
            change()
        };
        changed?;
        livepatch::wait();
    }
    Ok(result)
}
