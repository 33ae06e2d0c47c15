//! A call that stops at every instruction. At one of the stops something happens;
//! from there on the call runs at full speed, as soon as what happens is over.

use super::{
    calls::{self, Caller, Watched},
    controls,
    crew::{self, Order},
    disturbance::Disturbance,
    situation,
};
use crate::{
    arch, mm, module,
    single_step::{
        self, Fault, MOST_STOPS,
        reservation::{self, Reservation},
    },
    sync::IrqLock,
    text,
    thread::{self, Thread},
    time,
};
use alloc::vec::Vec;
use core::mem;
use disasm::Line;
use layout::TrapFrame;
use ppc64::{msr, vector};

/// An instruction that is about to be executed.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// Where.
    pub address: u64,
    /// Which.
    pub word: u32,
    /// Interrupts are off, so nothing can come in between here.
    pub masked: bool,
    /// In the code that the site leads to, which may be gone when somebody asks: how
    /// far from its start.
    pub behind_site: Option<u64>,
}

/// A stepped call, and what came of it.
#[derive(Debug)]
pub struct Stepped {
    /// The call. Without meaning if it did not come back.
    pub call: Watched,
    /// The thread's patch state before and after.
    pub universe: [u64; 2],
    /// Where it happened.
    pub at: Option<Stop>,
    /// Why it did not come back.
    pub fault: Option<Fault>,
    /// Where the provoked tick came, and the call that it made.
    pub tick: Option<(u64, Option<Watched>)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// No call is stepped.
    None,
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
    thread: u32,
    /// Stops so far.
    count: usize,
    /// At which something happens.
    wanted: usize,
    disturbance: Disturbance,
    expected: u64,
    deadline: u64,
    at: Option<Stop>,
    fault: Option<Fault>,
    tick: Option<(u64, Option<Watched>)>,
    reservation: Option<Reservation>,
}

impl Running {
    const NONE: Self = Self {
        phase: Phase::None,
        thread: 0,
        count: 0,
        wanted: 0,
        disturbance: Disturbance::Switch,
        expected: 0,
        deadline: 0,
        at: None,
        fault: None,
        tick: None,
        reservation: None,
    };
}

static RUNNING: IrqLock<Running> = IrqLock::new(Running::NONE);

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
    let universe = || thread::with_current(Thread::universe).unwrap_or(0);
    let before = universe();
    let expected = calls::expectation();
    let mut call = calls::prepared(Caller::Explorer);
    if what.is_none() {
        STOPS.lock().clear();
    }
    let (wanted, disturbance) = what.unwrap_or((0, Disturbance::Switch));
    *RUNNING.lock() = Running {
        phase: what.map_or(Phase::Counting, |_| Phase::Before),
        thread: thread::with_current(Thread::id).unwrap_or(0),
        wanted,
        disturbance,
        expected,
        deadline: single_step::deadline(),
        ..Running::NONE
    };
    let mut ended = Running::NONE;
    let is_lost = || {
        ended = mem::replace(&mut *RUNNING.lock(), Running::NONE);
        ended.fault.is_some()
    };
    // SAFETY: as in `calls::call`. Every instruction comes to `watch`.
    let is_back = unsafe { single_step::make(&mut call, is_lost) };
    let mut call = calls::seen(&call, expected);
    if !is_back {
        // Counts as a wrong result: the next call would be handed over to nowhere.
        call.result = u64::MAX;
    }
    Stepped {
        call,
        universe: [before, universe()],
        at: ended.at,
        fault: ended.fault,
        tick: ended.tick,
    }
}

/// Sees every interrupt of the stepped call: see [`crate::interrupt::watch`].
pub fn watch(frame: &mut TrapFrame) -> bool {
    let mut running = RUNNING.lock();
    let is_it = thread::with_current(Thread::id) == Some(running.thread);
    if running.phase == Phase::None || !is_it {
        return false;
    }
    match frame.vector {
        vector::TRACE => {
            drop(running);
            while trapped(frame) {}
            true
        }
        vector::DECREMENTER => {
            if running.phase == Phase::Tick {
                running.phase = Phase::Running;
                running.tick = Some((frame.nip, None));
            } else if arch::timebase() > running.deadline {
                give_up(frame, &mut running);
                return true;
            }
            false
        }
        // With interrupts off a lock may be held, and nobody would open it again.
        _ if frame.msr & msr::EE != 0 => {
            give_up(frame, &mut running);
            true
        }
        _ => false,
    }
}

/// Lets the call end where it would return to.
fn give_up(frame: &mut TrapFrame, running: &mut Running) {
    running.fault = Some(single_step::give_up(frame));
    running.phase = Phase::Running;
}

/// The call has trapped at an instruction. Says whether that was carried out here, so
/// that the next one is the next to look at.
fn trapped(frame: &mut TrapFrame) -> bool {
    let word = text::read(frame.nip);
    let mut running = RUNNING.lock();
    stopped(frame, &mut running);
    if running.phase == Phase::Partner && frame.msr & msr::EE != 0 {
        drop(running);
        follow(frame);
        running = RUNNING.lock();
    }
    // At full speed the processor does it by itself.
    frame.msr & msr::SE != 0 && reservation::carry_out(frame, word, &mut running.reservation)
}

/// The call is at an instruction.
fn stopped(frame: &mut TrapFrame, running: &mut Running) {
    if single_step::at_home(frame) {
        return;
    }
    let mut stop = Stop {
        address: frame.nip,
        word: text::read(frame.nip),
        masked: frame.msr & msr::EE == 0,
        behind_site: None,
    };
    let number = running.count;
    running.count += 1;
    if running.count > MOST_STOPS {
        if !stop.masked {
            give_up(frame, running);
        }
    } else if running.phase == Phase::Counting {
        STOPS.lock().push(stop);
    } else if running.phase == Phase::Before && number == running.wanted {
        stop.behind_site = behind_site(stop.address);
        running.at = Some(stop);
        match running.disturbance {
            Disturbance::Tick => {
                running.phase = Phase::Tick;
                frame.msr &= !msr::SE;
                time::call_on_tick(on_tick);
                // Below zero: it comes as soon as interrupts are on, which is when
                // this handler returns.
                arch::set_decrementer(-1);
            }
            Disturbance::BothWords => {
                running.phase = Phase::Running;
                frame.msr &= !msr::SE;
                controls::write_both_words();
            }
            other => {
                running.phase = Phase::Partner;
                crew::PARTNER.give(Order::Disturb(other));
            }
        }
    }
}

/// How far an address is from the start of the stub or trampoline that the site leads
/// to, if it is in there.
fn behind_site(address: u64) -> Option<u64> {
    let site = situation::site().ok()?.address;
    let target = Line::new(site, text::read(site)).target()?;
    let region = mm::code::region();
    let is_made = (region.start..region.end).contains(&address) && !module::is_code(address);
    address.checked_sub(target).filter(|_| is_made)
}

/// Lets the partner have the CPU until it can't go on, as a tick would. When it is
/// done, the call runs at full speed.
fn follow(frame: &mut TrapFrame) {
    if !crew::is_done() {
        thread::preempt();
    }
    if crew::is_done() {
        RUNNING.lock().phase = Phase::Running;
        frame.msr &= !msr::SE;
    }
}

/// What the provoked tick calls.
fn on_tick() {
    time::stop_calling();
    let expected = RUNNING.lock().expected;
    let made = calls::call(Caller::Handler, expected);
    if let Some((_, place)) = &mut RUNNING.lock().tick {
        *place = Some(made);
    }
}
