//! A call in single steps, for tests: something is done before each of its instructions
//! at which an interrupt could come.

use crate::{
    arch::{self, sanitiser::SanitisedCall},
    interrupt,
    single_step::{
        self, Fault,
        reservation::{self, Reservation},
    },
    symbols,
    sync::IrqLock,
    text,
    thread::{self, Thread},
};
use alloc::{format, string::String};
use core::sync::atomic::Ordering;
use layout::TrapFrame;
use ppc64::{msr, vector};

/// What is done at a stop, in the interrupt handler. What it leaves in the frame is what
/// the call goes on with.
pub type Visit = fn(&mut TrapFrame);

/// The call that is being stepped.
struct Stepping {
    thread: u32,
    visit: Visit,
    reservation: Option<Reservation>,
    fault: Option<Fault>,
}

static STEPPING: IrqLock<Option<Stepping>> = IrqLock::new(None);

/// A local call of a function of the kernel's, by its global entry.
pub fn local_call(function: u64) -> SanitisedCall {
    let entry = symbols::function_at(function);
    let local = entry.map_or(0, |entry| u64::from(entry.local_entry));
    let toc = arch::cpu().entry.toc.load(Ordering::Relaxed);
    SanitisedCall::new(function, local, toc, false)
}

/// Makes a call in steps, in the running thread. Gives back the fault that ended it, if
/// one did.
///
/// # Safety
/// The function may be called with these arguments and this r2.
pub unsafe fn make(call: &mut SanitisedCall, visit: Visit) -> Option<Fault> {
    *STEPPING.lock() = Some(Stepping {
        thread: thread::with_current(Thread::id).unwrap_or(0),
        visit,
        reservation: None,
        fault: None,
    });
    interrupt::watch(Some(watch));
    let fault = || STEPPING.lock().as_ref().and_then(|one| one.fault);
    // SAFETY: as the caller promises, and the watcher is there.
    unsafe { single_step::make(call, || fault().is_some()) };
    interrupt::watch(None);
    let ended = STEPPING.lock().take();
    ended.and_then(|one| one.fault)
}

/// The same for a call that must come back.
///
/// # Errors
/// Where it faults.
///
/// # Safety
/// As for [`make`].
pub unsafe fn make_whole(call: &mut SanitisedCall, visit: Visit) -> Result<(), String> {
    // SAFETY: as the caller promises.
    match unsafe { make(call, visit) } {
        None => Ok(()),
        Some(fault) => {
            let place = symbols::Place(fault.address);
            Err(format!("the call is lost at {place}: {}", fault.why()))
        }
    }
}

fn watch(frame: &mut TrapFrame) -> bool {
    let me = thread::with_current(Thread::id);
    let Some(visit) = (STEPPING.lock().as_ref())
        .filter(|one| me == Some(one.thread))
        .map(|one| one.visit)
    else {
        return false;
    };
    let is_open = frame.msr & msr::EE != 0;
    match frame.vector {
        vector::TRACE => {
            while !single_step::at_home(frame) {
                if is_open {
                    visit(frame);
                }
                let word = text::read(frame.nip);
                let mut place = STEPPING.lock();
                let Some(stepping) = place.as_mut() else {
                    return true;
                };
                if !reservation::carry_out(frame, word, &mut stepping.reservation) {
                    return true;
                }
            }
            true
        }
        vector::DECREMENTER => false,
        // With interrupts off a lock may be held, and nobody would open it again.
        _ if is_open => {
            let fault = single_step::give_up(frame);
            if let Some(stepping) = STEPPING.lock().as_mut() {
                stepping.fault = Some(fault);
            }
            true
        }
        _ => false,
    }
}
