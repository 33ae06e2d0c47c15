//! The graph tracer comes and goes, again and again, while threads call a replacement.
//!
//! It is attached to all functions at once. A thread that was taken off the CPU between
//! the hand-off and the new function then comes home through the return hook although
//! the old function had not been hooked when the hand-off was made.

use super::{enable, remove, text, undisturbed};
use crate::{check, tests::rounds};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use lab::{
    instruments::sanitiser::{SanitisedCall, kernel_toc},
    targets::live,
};
use machine::{console, sync::IrqLock};
use report::Record;
use thread::Handle;

/// How often, if the boot arguments don't say.
const ROUNDS: u32 = 300;

/// How many threads call.
const CALLERS: usize = 40;

/// How many of them never give way, so that ticks take the CPU from them anywhere in a
/// call. Each makes a round longer by as many time slices as the round has itself.
const BUSY: usize = 1;

/// How long the others sleep between two calls.
const REST: Duration = Duration::from_millis(5);

/// Rounds from one sign of life to the next.
const TOLD: u32 = 20;

/// What the callers have in common.
struct Shared {
    stop: AtomicBool,
    calls: AtomicU64,
    mistake: IrqLock<Option<String>>,
}

/// The threads, until they are dropped.
struct Callers {
    handles: Vec<Handle>,
    shared: Arc<Shared>,
}

impl Callers {
    fn start() -> Result<Self, String> {
        let mut callers = Self {
            handles: Vec::with_capacity(CALLERS),
            shared: Arc::new(Shared {
                stop: AtomicBool::new(false),
                calls: AtomicU64::new(0),
                mistake: IrqLock::new(None),
            }),
        };
        for number in 0..CALLERS {
            let shared = callers.shared.clone();
            let body = move || call(&shared, number < BUSY);
            callers
                .handles
                .push(thread::spawn("toggled", body).map_err(text)?);
        }
        Ok(callers)
    }

    /// What one of them has found wrong.
    fn check(&self) -> Result<(), String> {
        match &*self.shared.mistake.lock() {
            Some(mistake) => Err(mistake.clone()),
            None => Ok(()),
        }
    }

    /// Waits for their end. Says how many calls they have made.
    fn end(mut self) -> Result<u64, String> {
        self.join()?;
        self.check()?;
        Ok(self.shared.calls.load(Ordering::Relaxed))
    }

    fn join(&mut self) -> Result<(), String> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut handles = self.handles.drain(..);
        handles.try_for_each(|handle| handle.join().map_err(text))
    }
}

impl Drop for Callers {
    /// A test that has failed leaves no thread behind.
    fn drop(&mut self) {
        // Whatever became of them, the test has failed already.
        let _ = self.join();
    }
}

/// Calls the function until it is told to stop, or something is wrong.
fn call(shared: &Shared, busy: bool) {
    while !shared.stop.load(Ordering::Relaxed) {
        thread::safe_point();
        let mut call = SanitisedCall::local(live::one as *const () as u64, kernel_toc(), &[1]);
        // SAFETY: a function of the kernel with one argument.
        let results = unsafe { call.make_checked() };
        shared.calls.fetch_add(1, Ordering::Relaxed);
        if results.as_ref().map(|[result, _]| *result) != Ok(12) {
            let mistake = format!("a call has not returned 12: {results:x?}");
            shared.mistake.lock().get_or_insert(mistake);
            return;
        }
        if !busy {
            thread::sleep(REST);
        }
    }
}

fn toggle() -> Result<(), String> {
    for tracer in ["function_graph", "nop"] {
        tracing::write("current_tracer", tracer).map_err(text)?;
    }
    tracing::write("trace", "").map_err(text)
}

crate::selftest! {
    control;

    /// Each caller has its r2 back, and what the new function returns, each time.
    fn graph_tracer_under_callers() {
        let rounds = rounds(ROUNDS);
        undisturbed(|| {
            enable("test_klp_livepatch")?;
            let callers = Callers::start()?;
            for done in 1..=rounds {
                toggle()?;
                callers.check().map_err(|wrong| format!("after {done} rounds: {wrong}"))?;
                if done.is_multiple_of(TOLD) {
                    console::report(&Record::Progress { what: "toggling", done, of: rounds });
                }
            }
            let calls = callers.end()?;
            check!(calls > u64::from(rounds), "{calls} calls in {rounds} rounds");
            println!("{rounds} rounds, {calls} calls");
            remove("test_klp_livepatch")
        })
    }
}
