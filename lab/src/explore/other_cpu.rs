//! The other CPU, where the machine has two: while the stepped call stands still at one of its
//! instructions, the other CPU does what happens there, to the end.
//!
//! So each action is tried before each instruction of the call, and not only where the call
//! can be interrupted: with interrupts off nothing comes upon this CPU, and the other one goes
//! on all the same.
//!
//! What the other CPU does may have to wait for this one: for a synchronisation, for a
//! look at this thread's registers, or until the call has left code that is to be freed. With
//! interrupts on, the stop's handler takes what is asked, as the handler of the interrupt would
//! that is due there. With interrupts off it waits, as it would without steps. Where the other CPU
//! still can't end, the call goes on by an instruction, and both run on side by side from there.
//!
//! On a machine that counts instructions one CPU runs at a time, and gives way when it waits
//! ([`arch::spin`]) or sleeps. So a number of turns says whether the other one waits for this
//! one. On other machines a turn is no measure: what happens may then begin a few instructions
//! late.

use super::{pairs, threads};
use core::sync::atomic::Ordering;
use machine::{arch, cpus};

/// The other CPU's turns at the stop where something happens. An action that has to wait for
/// nothing but what is asked here takes 19 at most.
const FIRST: u32 = 64;

/// At each later stop.
const LATER: u32 = 1;

/// Whether there is one.
pub fn exists() -> bool {
    cpus::count() > 1
}

/// Lets the other CPU act until it is done or waits for the call to go on. Says whether it is
/// done.
pub fn act(is_masked: bool, is_first: bool) -> bool {
    let off = arch::interrupts_off();
    for _ in 0..if is_first { FIRST } else { LATER } {
        if is_over() {
            return true;
        }
        if !is_masked && off.cpu().requests.load(Ordering::Relaxed) != 0 {
            // To look for threads is for the tick, which a stepped call has none of.
            let _ = cpus::take_requests(&off);
        }
        arch::spin();
    }
    is_over()
}

/// Whether the other CPU is done, or stands still until the call is over.
fn is_over() -> bool {
    threads::is_done() || pairs::stands()
}
