//! Code in which every instruction traps: what the step explorer, the guided step, the
//! cost meter and the self-tests have in common.
//!
//! `MSR[SE]` makes the CPU trap before each instruction (ISA Book III, 7.5.15). One thread
//! at a time is stepped, by [`run`]: a call by the ABI sanitiser ([`make`]), or what comes
//! behind a call of [`from_here`]. At each instruction a visitor is called, which says how
//! the code goes on. It is called in the interrupt handler and in the stepped thread, with
//! no lock held, so it may give up the CPU where interrupts are on.

mod reservation;

use crate::instruments::sanitiser::{SanitisedCall, sanitised_home};
use core::{mem, time::Duration};
use layout::TrapFrame;
use machine::{arch, sync::IrqLock, text, time};
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
}

impl Fault {
    /// Why the call was given up, in words.
    #[must_use]
    pub fn why(&self) -> &'static str {
        match self.vector {
            vector::DECREMENTER => "it never comes back",
            vector::TRACE => "it takes too many instructions",
            other => vector::name(other),
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

static STEPPING: IrqLock<Option<Stepping>> = IrqLock::new(None);

/// Runs `body` in this thread, and a part of it in steps. Waits while another thread is
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
    loop {
        let mut place = STEPPING.lock();
        if place.is_none() {
            mem::swap(&mut *place, &mut stepping);
            break;
        }
        drop(place);
        thread::yield_now();
    }
    interrupt::watch(Some(watch));
    let result = body();
    interrupt::watch(None);
    *STEPPING.lock() = None;
    result
}

/// Begins the steps, if this thread is in [`run`] and they have not begun before.
fn begin(home: u64, deadline: Option<u64>) -> bool {
    let me = thread::with_current(Thread::id);
    let mut place = STEPPING.lock();
    let stepping = place.as_mut();
    let stepping = stepping.filter(|one| me == Some(one.thread) && one.home.is_none());
    stepping.is_some_and(|one| {
        (one.home, one.deadline) = (Some(home), deadline);
        true
    })
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

/// Makes a call in steps. The livepatch stack is put right after it.
///
/// No ticks come before the deadline but those that the visitor provokes, or no two
/// runs would be alike.
///
/// # Safety
/// The function may be called with these arguments and this r2.
pub unsafe fn make(call: &mut SanitisedCall, visitor: &mut Visitor<'_>) -> Made {
    run(visitor, || {
        // The livepatch stack's top goes with it.
        let floor = arch::stack_floor();
        let hooked = graph::depth();
        let longest = time::timebase_ticks(LONGEST);
        begin(sanitised_home(), Some(arch::timebase() + longest));
        arch::set_decrementer(longest.min(i32::MAX as u64) as i32);
        call.step();
        // SAFETY: as the caller promises. Every instruction comes to `watch`.
        unsafe { call.make() };
        let fault = STEPPING.lock().as_ref().and_then(|one| one.fault);
        if fault.is_some() {
            // The call has not come back through what these three keep.
            arch::set_tracing(0);
            graph::forget_above(hooked);
            arch::set_stack_floor(floor);
        }
        time::start();
        let livepatch_stack_is_back = arch::stack_floor() == floor;
        arch::set_stack_floor(floor);
        Made {
            fault,
            livepatch_stack_is_back,
        }
    })
}

/// Sees every interrupt while something is stepped: see [`interrupt::watch`].
fn watch(frame: &mut TrapFrame) -> bool {
    let me = thread::with_current(Thread::id);
    let (visitor, home, deadline) = match &*STEPPING.lock() {
        Some(one) if me == Some(one.thread) => (one.visitor, one.home, one.deadline),
        _ => return false,
    };
    // SAFETY: this thread is in `run`, which has borrowed the visitor. Handlers do not
    // nest, so it is not running.
    let visit = unsafe { &mut *visitor };
    let may_end = |frame: &TrapFrame| {
        // With interrupts off the thread may own a lock, and would never release it.
        deadline.is_some() && frame.msr & msr::EE != 0
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
        let mut place = STEPPING.lock();
        let stepping = place.as_mut();
        stepping.is_some_and(|one| reservation::carry_out(frame, atomic, &mut one.reservation))
    })
}

/// Lets the call end where it would return to.
fn give_up(frame: &mut TrapFrame) {
    if let Some(stepping) = STEPPING.lock().as_mut() {
        stepping.fault = Some(Fault {
            vector: frame.vector,
            address: frame.nip,
        });
    }
    frame.nip = sanitised_home();
    frame.msr &= !msr::SE;
    frame.msr |= msr::EE | msr::RI;
}
