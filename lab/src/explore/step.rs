//! A call that stops at every instruction. At one of the stops something happens;
//! from there on the call runs at full speed, as soon as what happens is over.

use super::{
    calls::{self, Caller, Watched},
    controls,
    disturbance::Disturbance,
    other_cpu, pairs, situation,
    threads::{self, Order},
};
use crate::single_step::{self, At, Fault, MOST_STOPS, Next};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use disasm::Line;
use layout::TrapFrame;
use machine::{arch, mm, sync::IrqLock, text, time};
use ppc64::msr;
use thread::Thread;

/// An instruction that is about to be executed.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// Where.
    pub address: u64,
    /// Which.
    pub word: u32,
    /// Interrupts are off, so nothing can come in between here.
    pub masked: bool,
    /// In the code that the site leads to: how far from its start. That code may be gone
    /// when this is read.
    pub behind_site: Option<u64>,
}

/// A stepped call, and what came of it.
#[derive(Debug)]
pub struct Stepped {
    /// The call. Without meaning if it did not come back.
    pub call: Watched,
    /// The thread's patch state before and after.
    pub patch_state: [u64; 2],
    /// Where it happened.
    pub at: Option<Stop>,
    /// Why it did not come back.
    pub fault: Option<Fault>,
    /// Where the provoked tick came, and the call that it made.
    pub tick: Option<(u64, Option<Watched>)>,
    /// Whether what another CPU did had to wait for the call to go on.
    pub has_waited: bool,
    /// Whether another CPU has taken the call up.
    pub has_moved: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// All stops are written down.
    Counting,
    /// The stop is still to come.
    Before,
    /// The partner is at work, and has the CPU at every stop.
    Partner,
    /// A tick was provoked.
    Tick,
    /// The call runs at full speed.
    Running,
}

/// The call that is being stepped.
struct Running {
    phase: Phase,
    /// Stops so far.
    count: usize,
    /// At which something happens.
    wanted: usize,
    disturbance: Disturbance,
    at: Option<Stop>,
    has_waited: bool,
    has_moved: bool,
}

/// What the provoked tick's call is to return.
static EXPECTED: AtomicU64 = AtomicU64::new(0);
/// Where that tick came, and the call that it made.
static TICK: IrqLock<Option<(u64, Option<Watched>)>> = IrqLock::new(None);

/// The stops of the last call that nothing has happened to.
static STOPS: IrqLock<Vec<Stop>> = IrqLock::new(Vec::new());

/// Takes the memory that it needs.
pub fn reserve() {
    STOPS.lock().reserve_exact(MOST_STOPS);
}

/// How many stops the last call had that nothing has happened to.
pub fn stops() -> usize {
    STOPS.lock().len()
}

/// One of them.
pub fn stop(number: usize) -> Option<Stop> {
    STOPS.lock().get(number).copied()
}

/// Calls the function in steps. The disturbance happens at the stop with that number;
/// or nothing happens, and all stops are written down.
pub fn step(what: Option<(usize, Disturbance)>) -> Stepped {
    let patch_state = || thread::with_current(Thread::patch_state).unwrap_or(0);
    let before = patch_state();
    let expected = calls::expectation();
    let mut call = calls::prepared(Caller::Explorer);
    if what.is_none() {
        STOPS.lock().clear();
    }
    let (wanted, disturbance) = what.unwrap_or((0, Disturbance::Switch));
    let mut running = Running {
        phase: what.map_or(Phase::Counting, |_| Phase::Before),
        count: 0,
        wanted,
        disturbance,
        at: None,
        has_waited: false,
        has_moved: false,
    };
    EXPECTED.store(expected, Ordering::Relaxed);
    *TICK.lock() = None;
    // SAFETY: as in `calls::call`.
    let made = unsafe { single_step::make(&mut call, &mut |frame, at| running.visit(frame, at)) };
    pairs::let_go_on();
    let mut call = calls::seen(&call, expected);
    if !made.livepatch_stack_is_back {
        // Counts as a wrong result: the next call would be handed over to nowhere.
        call.result = u64::MAX;
    }
    Stepped {
        call,
        patch_state: [before, patch_state()],
        at: running.at,
        fault: made.fault,
        tick: TICK.lock().take(),
        has_waited: running.has_waited,
        has_moved: running.has_moved,
    }
}

impl Running {
    fn visit(&mut self, frame: &TrapFrame, at: At) -> Next {
        match at {
            At::Instruction => self.stopped(frame),
            At::Tick if self.phase == Phase::Tick => {
                self.phase = Phase::Running;
                *TICK.lock() = Some((frame.nip, None));
                Next::Run
            }
            At::Tick | At::Home => Next::Run,
        }
    }

    /// The call is at an instruction.
    fn stopped(&mut self, frame: &TrapFrame) -> Next {
        let mut stop = Stop {
            address: frame.nip,
            word: text::read(frame.nip),
            masked: frame.msr & msr::EE == 0,
            behind_site: None,
        };
        let number = self.count;
        self.count += 1;
        if self.count > MOST_STOPS {
            return Next::GiveUp;
        }
        if pairs::is_recording() {
            pairs::note(number, frame);
        }
        if self.phase == Phase::Counting {
            STOPS.lock().push(stop);
        } else if self.phase == Phase::Before && number == self.wanted {
            stop.behind_site = behind_site(stop.address);
            self.at = Some(stop);
            match self.disturbance {
                Disturbance::Tick => {
                    self.phase = Phase::Tick;
                    time::call_on_tick(on_tick);
                    // Below zero: it comes as soon as interrupts are on, which is when
                    // this handler returns.
                    arch::set_decrementer(-1);
                    return Next::Run;
                }
                Disturbance::BothWords => {
                    self.phase = Phase::Running;
                    controls::write_both_words();
                    return Next::Run;
                }
                other => {
                    self.phase = Phase::Partner;
                    threads::PARTNER.give(Order::Disturb(other));
                }
            }
        }
        if self.phase == Phase::Partner && self.follow(stop.masked, number == self.wanted) {
            self.phase = Phase::Running;
            if !pairs::is_recording() {
                return Next::Run;
            }
        }
        Next::Step
    }

    /// Lets the partner do what it was told, as far as it gets. Says whether that is over:
    /// the call runs at full speed then.
    fn follow(&mut self, is_masked: bool, is_first: bool) -> bool {
        if self.disturbance == Disturbance::Move {
            let here = arch::number();
            if !is_masked {
                // The partner is the next thread, and stays here until the call is over.
                thread::preempt();
            }
            self.has_moved = arch::number() != here;
            return self.has_moved;
        }
        if other_cpu::exists() {
            let is_done = other_cpu::act(is_masked, is_first);
            self.has_waited |= !is_done;
            return is_done;
        }
        // As a tick would.
        if !is_masked && !threads::is_done() {
            thread::preempt();
        }
        threads::is_done()
    }
}

/// How far an address is from the start of the stub or trampoline that the site leads
/// to, if it is in there.
fn behind_site(address: u64) -> Option<u64> {
    let site = situation::site().ok()?.address;
    let target = Line::new(site, text::read(site)).target()?;
    let region = mm::code::region();
    let is_made = (region.start..region.end).contains(&address) && !loader::is_code(address);
    address.checked_sub(target).filter(|_| is_made)
}

/// What the provoked tick calls.
fn on_tick() {
    time::stop_calling();
    let made = calls::call(Caller::Handler, EXPECTED.load(Ordering::Relaxed));
    if let Some((_, place)) = &mut *TICK.lock() {
        *place = Some(made);
    }
}
