//! A call in single steps, for tests: something is done before each of its instructions
//! at which an interrupt could come.

use alloc::{format, string::String};
use lab::{
    instruments::sanitiser::SanitisedCall,
    single_step::{self, At, Fault, Next},
};
use layout::TrapFrame;
use machine::symbols;
use ppc64::msr;

/// What is done at a stop, in the interrupt handler. What it leaves in the frame is what
/// the call goes on with.
pub type Visit = fn(&mut TrapFrame);

/// Makes a call in steps, in the running thread. Gives back the fault that ended it, if
/// one did.
///
/// # Safety
/// The function may be called with these arguments and this r2.
pub unsafe fn make(call: &mut SanitisedCall, visit: Visit) -> Option<Fault> {
    let mut visitor = |frame: &mut TrapFrame, at| {
        if at == At::Instruction && frame.msr & msr::EE != 0 {
            visit(frame);
        }
        Next::Step
    };
    // SAFETY: as the caller promises.
    unsafe { single_step::make(call, &mut visitor) }.fault
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
            Err(format!("the call is lost at {place}: {fault}"))
        }
    }
}
