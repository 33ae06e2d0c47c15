//! Code in which every instruction traps: what the step explorer, the guided step, the
//! cost meter and the self-tests have in common.
//!
//! `MSR[SE]` makes the CPU trap before each instruction (ISA Book III, 7.5.15). Two threads at
//! a time are stepped at most, by [`run`]: a call by the ABI sanitiser ([`make`]), what comes
//! behind a call of [`from_here`], or a function up to where it gives way ([`through`]). At each instruction a visitor is called, which says how
//! the code goes on. It is called in the interrupt handler and in the stepped thread, with
//! no lock held, so it may give up the CPU where interrupts are on.

mod reservation;

use crate::instruments::sanitiser::{SanitisedCall, is_in_sanitised_call, sanitised_home};
use core::{
    fmt, mem,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use layout::TrapFrame;
use machine::{arch, mmu::Refused, sync::IrqLock, text, time};
use ppc64::{insn, msr, vector};
use reservation::Reservation;
use thread::{Thread, interrupt};
use tracing::graph;

/// More stops than any call has that comes back.
pub const MOST_STOPS: usize = 4000;

/// A call that has not come back after so long never will.
const LONGEST: Duration = Duration::from_secs(2);

/// Why a visitor is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum At {
    /// The instruction at `nip` is next.
    Instruction,
    /// The stepped code has come to its end, and nothing traps any more.
    Home,
    /// A tick has interrupted the code. It is handled when the visitor returns.
    Tick,
}

/// How the code goes on after an instruction's visit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// To the next instruction.
    Step,
    /// At full speed.
    Run,
    /// A call ends here, as with a fault, if interrupts are on; other code is stepped on.
    GiveUp,
}

/// What is called in the interrupt handler. What it leaves in the frame is what the code
/// goes on with.
pub type Visitor<'a> = dyn FnMut(&mut TrapFrame, At) -> Next + 'a;

/// An interrupt that ended a call.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Its vector.
    pub vector: u64,
    /// Where it came.
    pub address: u64,
    /// The access to memory that was refused, if it was for that.
    refused: Option<Refused>,
}

/// Why the call was given up.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.vector, &self.refused) {
            (vector::DECREMENTER, _) => f.write_str("it never comes back"),
            (vector::TRACE, _) => f.write_str("it takes too many instructions"),
            (other, None) => f.write_str(vector::name(other)),
            (_, Some(refused)) => refused.fmt(f),
        }
    }
}

/// What came of a call.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Why it was given up, if it was.
    pub fault: Option<Fault>,
    /// Whether the livepatch stack was as before.
    pub livepatch_stack_is_back: bool,
}

/// What is being stepped.
struct Stepping {
    thread: u32,
    visitor: *mut Visitor<'static>,
    /// Where the steps end, once they have begun.
    home: Option<u64>,
    /// When a call has taken too long, at this timebase; none for other code, which can't
    /// be given up.
    deadline: Option<u64>,
    reservation: Option<Reservation>,
    fault: Option<Fault>,
}

// SAFETY: only the stepped thread follows the pointer, which is its own.
unsafe impl Send for Stepping {}

/// One that steps, and one that is to meet it on another CPU.
static STEPPING: IrqLock<[Option<Stepping>; 2]> = IrqLock::new([const { None }; 2]);

/// Does something with the running thread's entry, if it is stepped.
fn with_mine<R>(body: impl FnOnce(&mut Stepping) -> R) -> Option<R> {
    let me = thread::with_current(Thread::id);
    let mut all = STEPPING.lock();
    let mut all = all.iter_mut().flatten();
    all.find(|one| me == Some(one.thread)).map(body)
}

/// Runs `body` in this thread, and a part of it in steps. Waits while two other threads are
/// stepped.
pub fn run<R>(visitor: &mut Visitor<'_>, body: impl FnOnce() -> R) -> R {
    // SAFETY: changes the lifetime alone. The pointer is gone before `visitor` is.
    let visitor =
        unsafe { mem::transmute::<*mut Visitor<'_>, *mut Visitor<'static>>(&raw mut *visitor) };
    let mut stepping = Some(Stepping {
        thread: thread::with_current(Thread::id).unwrap_or(0),
        visitor,
        home: None,
        deadline: None,
        reservation: None,
        fault: None,
    });
    while stepping.is_some() {
        let mut all = STEPPING.lock();
        if let Some(place) = all.iter_mut().find(|place| place.is_none()) {
            mem::swap(place, &mut stepping);
            interrupt::watch(Some(watch));
        } else {
            drop(all);
            thread::yield_now();
        }
    }
    let result = body();
    let me = thread::with_current(Thread::id);
    let mut all = STEPPING.lock();
    for place in all.iter_mut() {
        let _ = place.take_if(|one| me == Some(one.thread));
    }
    if all.iter().all(Option::is_none) {
        interrupt::watch(None);
    }
    drop(all);
    result
}

/// Begins the steps, if this thread is in [`run`] and they have not begun before.
fn begin(home: u64, deadline: Option<u64>) -> bool {
    let begins = with_mine(|one| {
        let begins = one.home.is_none();
        if begins {
            (one.home, one.deadline) = (Some(home), deadline);
        }
        begins
    });
    begins == Some(true)
}

/// From here to `home` the code is stepped, if its thread is in [`run`] and this is the
/// first time.
///
/// # Safety
/// Interrupts are on, and the thread comes to `home` before it leaves [`run`].
pub unsafe fn from_here(home: u64) {
    if begin(home, None) {
        // SAFETY: as the caller promises. `watch` sees the traps, and ends them there.
        unsafe { arch::step_from_here() };
    }
}

/// Runs `body` in this thread, in steps until it gives way to another thread or the visitor
/// lets it run. Interrupts are on.
pub fn through<R>(visitor: &mut Visitor<'_>, body: impl FnOnce() -> R) -> R {
    let is_over = AtomicBool::new(false);
    let mut until_over = |frame: &mut TrapFrame, at: At| {
        if is_over.load(Ordering::Relaxed) {
            Next::Run
        } else {
            visitor(frame, at)
        }
    };
    run(&mut until_over, || {
        // SAFETY: interrupts are on, says the caller. No code lies at that address: the
        // visitor ends the steps, at the trap behind the store below at the latest.
        unsafe { from_here(u64::MAX) };
        let result = body();
        is_over.store(true, Ordering::Relaxed);
        result
    })
}

/// Makes a call in steps. The livepatch stack is put right after it.
///
/// No ticks come before the deadline but those that the visitor provokes, or no two
/// runs would be alike.
///
/// # Safety
/// The function may be called with these arguments and this r2.
pub unsafe fn make(call: &mut SanitisedCall, visitor: &mut Visitor<'_>) -> Made {
    // SAFETY: as the caller promises.
    unsafe { make_within(LONGEST, call, visitor) }
}

/// The same for a call that is given up after so long.
///
/// # Safety
/// As for [`make`].
pub unsafe fn make_within(
    longest: Duration,
    call: &mut SanitisedCall,
    visitor: &mut Visitor<'_>,
) -> Made {
    run(visitor, || {
        // The livepatch stack's top goes with it.
        let livepatch_stack = arch::livepatch_stack();
        let hooked = graph::depth();
        let longest = time::timebase_ticks(longest);
        begin(sanitised_home(), Some(arch::timebase() + longest));
        arch::set_decrementer(longest.min(i32::MAX as u64) as i32);
        call.step();
        // SAFETY: as the caller promises. Every instruction comes to `watch`.
        unsafe { call.make() };
        let fault = with_mine(|one| one.fault).flatten();
        if fault.is_some() {
            // The call has not come back through what these three keep.
            arch::set_tracing(0);
            graph::forget_above(hooked);
            arch::set_livepatch_stack(livepatch_stack);
        }
        time::start();
        let livepatch_stack_is_back = arch::livepatch_stack() == livepatch_stack;
        arch::set_livepatch_stack(livepatch_stack);
        Made {
            fault,
            livepatch_stack_is_back,
        }
    })
}

/// Sees every interrupt while something is stepped: see [`interrupt::watch`].
fn watch(frame: &mut TrapFrame) -> bool {
    let mine = with_mine(|one| (one.visitor, one.home, one.deadline));
    let Some((visitor, home, deadline)) = mine else {
        // The bit is the CPU's, and its stepped thread has given way.
        let is_step = frame.vector == vector::TRACE;
        frame.msr &= !if is_step { msr::SE } else { 0 };
        return is_step;
    };
    // SAFETY: this thread is in `run`, which has borrowed the visitor. Handlers do not
    // nest, so it is not running.
    let visit = unsafe { &mut *visitor };
    let may_end = |frame: &TrapFrame| {
        // With interrupts off the thread may own a lock, and would never release it.
        let is_free = frame.msr & msr::EE != 0;
        deadline.is_some() && is_free && is_in_sanitised_call(frame.nip)
    };
    match frame.vector {
        vector::TRACE if home.is_some() => loop {
            if home == Some(frame.nip) {
                frame.msr &= !msr::SE;
                visit(frame, At::Home);
                return true;
            }
            match visit(frame, At::Instruction) {
                Next::Run => frame.msr &= !msr::SE,
                Next::GiveUp if may_end(frame) => give_up(frame),
                Next::GiveUp | Next::Step => {}
            }
            if frame.msr & msr::SE == 0 || !is_carried_out(frame) {
                return true;
            }
        },
        vector::DECREMENTER if deadline.is_none_or(|end| arch::timebase() <= end) => {
            visit(frame, At::Tick);
            false
        }
        // Another CPU asks something of this one.
        vector::EXTERNAL => false,
        _ if may_end(frame) => {
            give_up(frame);
            true
        }
        _ => false,
    }
}

/// Whether the next instruction is one that is carried out here; `frame` is then behind it.
fn is_carried_out(frame: &mut TrapFrame) -> bool {
    insn::atomic(text::read(frame.nip)).is_some_and(|atomic| {
        with_mine(|one| reservation::carry_out(frame, atomic, &mut one.reservation)) == Some(true)
    })
}

/// Lets the call end where it would return to.
fn give_up(frame: &mut TrapFrame) {
    let fault = Fault {
        vector: frame.vector,
        address: frame.nip,
        refused: Refused::of(frame),
    };
    with_mine(|one| one.fault = Some(fault));
    // Below zero it goes off again and again, before the first instruction there.
    arch::set_decrementer(i32::MAX);
    frame.nip = sanitised_home();
    frame.msr &= !msr::SE;
    frame.msr |= msr::EE | msr::RI;
}
