//! Calls of the patched function: their callers, and what is expected and found of each.

use super::functions;
use crate::instruments::sanitiser::{Deviation, SanitisedCall, kernel_toc};
use arrayvec::ArrayVec;
use livepatch::{Status, variants};
use machine::arch;
use thread::Thread;

/// What the function is called with.
pub const ARGUMENT: u64 = 5;

/// A watched call, and what came of it.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What it returned.
    pub result: u64,
    /// What it should.
    pub expected: u64,
    /// What the ABI sanitiser has found.
    pub deviations: ArrayVec<Deviation, 8>,
}

/// What each of the callers has in r2, so that one's is not taken for another's:
/// distances from the kernel's TOC pointer. Where the variant says that there is only
/// one TOC, all have that.
#[derive(Clone, Copy, Debug)]
pub enum Caller {
    /// The stepped call's.
    Explorer = 0x10,
    /// The one of another thread.
    Partner = 0x20,
    /// An interrupt handler's.
    Handler = 0x30,
}

fn toc_of(caller: Caller) -> u64 {
    match variants::current().toc {
        variants::Toc::Kernels => kernel_toc(),
        _ => kernel_toc() + caller as u64,
    }
}

/// A call that is ready to be made.
pub fn prepared(caller: Caller) -> SanitisedCall {
    let function = functions::value as *const () as u64;
    SanitisedCall::local(function, toc_of(caller), &[ARGUMENT])
}

/// What came of a call that was made.
pub fn seen(call: &SanitisedCall, expected: u64) -> Watched {
    let mut deviations = ArrayVec::new();
    call.deviations(|one| {
        let _ = deviations.try_push(one);
    });
    Watched {
        result: call.results()[0],
        expected,
        deviations,
    }
}

/// Calls the function once, without stops.
pub fn call(caller: Caller, expected: u64) -> Watched {
    let mut call = prepared(caller);
    // SAFETY: the function takes one number, and uses no TOC; its replacements have
    // the TOC that their hand-off leads to.
    unsafe { call.make() };
    seen(&call, expected)
}

/// What the function returns to the running thread now, going by what patches there
/// are, and by the thread's side of the running transition.
pub fn expectation() -> u64 {
    let off = arch::interrupts_off();
    let patch_state = thread::with_current(Thread::patch_state).unwrap_or(0);
    let number = livepatch::running().map(|running| running.number);
    let is_new = number == Some(patch_state);
    let patches = livepatch::patches();
    let counts = |status: Status| match status {
        Status::Enabled => true,
        Status::Enabling => is_new,
        Status::Disabling => !is_new,
    };
    let newest = { patches.iter().rev() }.find(|(_, status)| counts(*status));
    let more = match newest.map(|(patch, _)| patch.name()) {
        Some(super::PATCH) => 2,
        Some(super::SECOND) => 3,
        _ => 1,
    };
    drop(patches);
    drop(off);
    3 * ARGUMENT + more
}
