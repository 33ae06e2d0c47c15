//! The instructions of one call, one by one: which they are, and what is on the
//! stacks meanwhile. With `MSR[SE]` the CPU traps before each of them (ISA Book III,
//! 7.5.15), so this counts without the timebase.

use super::super::Problem;
use crate::{
    instruments::sanitiser::{SanitisedCall, kernel_toc},
    single_step::{self, At, Next},
};
use alloc::{format, vec::Vec};
use layout::TrapFrame;
use machine::{arch, text};

/// More instructions than any call has that is walked.
const MOST: usize = 1000;

/// An instruction that was about to be executed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// Where.
    pub address: u64,
    /// Which.
    pub word: u32,
    /// r1.
    stack: u64,
    /// Where the livepatch stack ends.
    livepatch_stack: u64,
}

/// What happens between a call and its return.
#[derive(Debug)]
pub(super) struct Path {
    /// From the function's first instruction to the last before the caller's next.
    pub stops: Vec<Stop>,
    /// The most that was taken of the thread's stack and of the livepatch stack, in bytes.
    pub stacks: [u64; 2],
}

/// Calls a function without arguments, and writes down every instruction.
///
/// # Errors
/// When the call has more instructions than can be written down.
///
/// # Safety
/// `function` is the global entry of a function without TOC set-up that may be called
/// with any arguments, and returns soon.
pub(super) unsafe fn walk(function: u64) -> Result<Path, Problem> {
    let mut stops = Vec::with_capacity(MOST);
    let mut call = SanitisedCall::local(function, kernel_toc(), &[]);
    let mut visitor = |frame: &mut TrapFrame, at| {
        if stops.len() >= MOST {
            // The rest at full speed: the call is known to come back.
            return Next::Run;
        }
        if at == At::Instruction {
            stops.push(Stop {
                address: frame.nip,
                word: text::read(frame.nip),
                stack: frame.gpr[1],
                livepatch_stack: arch::livepatch_stack(),
            });
        }
        Next::Step
    };
    // Off, so that no other interrupt than ours comes.
    let off = arch::interrupts_off();
    // SAFETY: as the caller promises.
    unsafe { single_step::make(&mut call, &mut visitor) };
    drop(off);
    if stops.len() >= MOST {
        return Err(format!("a call has more than {MOST} instructions"));
    }
    // On the way in, the stacks are as the caller has them.
    let start = *stops.first().ok_or("a call has trapped nowhere")?;
    // Whether the branch to the function traps itself is up to when the CPU begins.
    let entry = stops.iter().position(|stop| stop.address == function);
    stops.drain(..entry.ok_or("a call does not come to its function")?);
    let stack = stops.iter().map(|stop| stop.stack).min();
    let livepatch_stack = stops.iter().map(|stop| stop.livepatch_stack).max();
    let stacks = [
        start.stack - stack.unwrap_or(start.stack),
        livepatch_stack.unwrap_or(start.livepatch_stack) - start.livepatch_stack,
    ];
    Ok(Path { stops, stacks })
}
