//! Calls whose every instruction traps: what the step explorer, the guided step and the
//! cost meter have in common.
//!
//! The ABI sanitiser makes the call with `MSR[SE]` on (ISA Book III, 7.5.15), and
//! every trap comes to a watcher, which [`crate::interrupt::watch`] has let in before
//! anybody else. The watcher lets the call end with [`at_home`], or with [`give_up`]
//! when it is lost.

pub mod reservation;

use crate::{
    arch::{
        self,
        sanitiser::{SanitisedCall, sanitised_home},
    },
    time,
    tracing::graph,
};
use core::{sync::atomic::Ordering, time::Duration};
use layout::TrapFrame;
use ppc64::{msr, vector};

/// More stops than any call has that comes back.
pub const MOST_STOPS: usize = 4000;

/// A call that has not come back after so long never will.
const LONGEST: Duration = Duration::from_secs(2);

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

/// When a call that is made now has taken too long: at this timebase.
#[must_use]
pub fn deadline() -> u64 {
    arch::timebase() + time::timebase_ticks(LONGEST)
}

/// Makes a call in steps. `is_lost` is asked when it has ended, and says whether it was
/// given up. Returns whether the livepatch stack is as it was; it is put right.
///
/// No ticks come before the deadline but those that the watcher provokes, or no two
/// runs would be alike.
///
/// # Safety
/// The function may be called with these arguments and this r2, and a watcher is there.
pub unsafe fn make(call: &mut SanitisedCall, is_lost: impl FnOnce() -> bool) -> bool {
    let entry = &arch::cpu().entry;
    // The livepatch stack's top goes with it.
    let floor = entry.stack_floor.load(Ordering::Relaxed);
    let hooked = graph::depth();
    let longest = time::timebase_ticks(LONGEST);
    arch::set_decrementer(longest.min(i32::MAX as u64) as i32);
    call.step();
    // SAFETY: as the caller promises. Every instruction comes to the watcher.
    unsafe { call.make() };
    if is_lost() {
        // Nobody has come back through what these three keep.
        entry.tracing.store(0, Ordering::Relaxed);
        graph::forget_above(hooked);
        entry.stack_floor.store(floor, Ordering::Relaxed);
    }
    time::start();
    let is_back = entry.stack_floor.load(Ordering::Relaxed) == floor;
    entry.stack_floor.store(floor, Ordering::Relaxed);
    is_back
}

/// Whether the call has come back. From here on nothing traps.
pub fn at_home(frame: &mut TrapFrame) -> bool {
    let is_home = frame.nip == sanitised_home();
    if is_home {
        frame.msr &= !msr::SE;
    }
    is_home
}

/// Lets the call end where it would return to.
pub fn give_up(frame: &mut TrapFrame) -> Fault {
    let fault = Fault {
        vector: frame.vector,
        address: frame.nip,
    };
    frame.nip = sanitised_home();
    frame.msr &= !msr::SE;
    frame.msr |= msr::EE | msr::RI;
    fault
}
