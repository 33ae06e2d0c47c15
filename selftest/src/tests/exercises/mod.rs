//! Whether a reader's tree does what an exercise asks (docs/exercises). `make exercise`
//! runs these by name and tells the reader what they say; in an untouched tree each
//! of them fails, so they are controls.
//!
//! A message is for the reader: `not done yet: ` and what is still as it was in the
//! beginning, or what was expected and what was found.

mod callback;
mod cumulative;
mod epilogue;
mod greeting;
mod holders;
mod leave;
mod shadow;
mod site;
mod together;
mod variants;

use crate::check;
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use livepatch as klp;
use livepatch::{Options, Patch};
use machine::{arch, time};

type Result<T = ()> = core::result::Result<T, String>;

/// How long a transition may take that is not blocked.
const SOON: Duration = Duration::from_secs(1);
/// How long a check may take.
const LIMIT: Duration = Duration::from_secs(8);

fn deadline(after: Duration) -> u64 {
    arch::timebase() + time::timebase_ticks(after)
}

/// Something could not be taken away again, and would spoil what comes next.
static SPOILT: AtomicBool = AtomicBool::new(false);

/// Refuses to look at anything when there is no relying on what would be seen. The runner
/// knows these words, and boots again.
fn must_be_sound() -> Result {
    check!(
        !SPOILT.load(Ordering::Relaxed),
        "not run: an earlier check has left something behind"
    );
    Ok(())
}

/// Runs a check in a thread of its own, so that a reader's code may fault or hang, and
/// takes away afterwards what it has enabled.
fn isolated(body: fn() -> Result) -> Result {
    must_be_sound()?;
    let result = Arc::new(machine::sync::IrqLock::new(None));
    let slot = result.clone();
    let thread = thread::spawn("reader", move || {
        let value = body();
        *slot.lock() = Some(value);
    });
    let thread = thread.map_err(|error| error.to_string())?;
    let result = if !thread.wait_until(deadline(LIMIT)) {
        Err("expected: a patched call that returns; found: it has not, after 8 seconds".into())
    } else if thread.join().is_err() {
        Err("expected: a patched call that returns; found: a fault in the patch, which was taken back".into())
    } else {
        let value = result.lock().take();
        value.unwrap_or_else(|| Err("the check has ended without a result".into()))
    };
    clean_up();
    result
}

/// Unloads all patches. A transition that does not end is ended by force.
fn clean_up() {
    crate::exercises::ring(true);
    let mut patches: Vec<String> = (klp::patches().iter().rev())
        .map(|(patch, _)| patch.name().to_string())
        .collect();
    let ours = |name: &String| name.starts_with("exercise_") || name == EARLIER;
    let modules = loader::loaded().into_iter().rev();
    // Names alone: a module with a reference to it can't be unloaded.
    patches.extend(modules.map(|module| module.name.clone()).filter(ours));
    for name in patches {
        // Listed as a patch and as a module.
        if loader::find(&name).is_none() {
            continue;
        }
        if klp::disable(&name).is_ok() && settle().is_err() {
            // Nothing is left to be done about an error.
            let _ = klp::force();
        }
        if let Err(error) = loader::unload(&name) {
            SPOILT.store(true, Ordering::Relaxed);
            println!("cleaning up: {error}");
        }
    }
    crate::exercises::ring(false);
}

/// A patch of the demonstration's.
const EARLIER: &str = "two_percent";

/// Loads a patch and starts to enable it.
fn start(name: &str) -> Result<Arc<Patch>> {
    let file = loader::find_file(name)?;
    klp::load(file.bytes, Options::default()).map_err(|error| {
        format!("expected: `{name}` can be enabled; found: the kernel refuses it: {error}")
    })
}

/// Loads a patch and enables it.
fn enable(name: &str) -> Result {
    start(name)?;
    settle()
}

/// Disables a patch, and leaves its module loaded.
fn disable(name: &str) -> Result {
    klp::disable(name).map_err(|error| error.to_string())?;
    settle()
}

/// Disables a patch and unloads its module.
fn remove(name: &str) -> Result {
    disable(name)?;
    loader::unload(name).map_err(|error| error.to_string())
}

/// Waits until no transition runs. The error says which threads block it.
fn settle() -> Result {
    let until = deadline(SOON);
    while klp::running().is_some() {
        if arch::timebase() > until {
            return Err(format!(
                "expected: the transition ends; found: it is blocked, {}",
                blocked_by()
            ));
        }
        thread::safe_point();
        thread::sleep(Duration::from_millis(1));
    }
    klp::wait();
    Ok(())
}

/// The threads that block the transition, and why.
fn blocked_by() -> String {
    let held = klp::progress().into_iter().filter(|one| !one.switched);
    let line = |one: klp::Progress| {
        let why = one
            .blocked
            .map_or_else(String::new, |held| held.to_string());
        format!("`{}`: {why}", one.thread.name())
    };
    held.map(line).collect::<Vec<_>>().join("; ")
}

/// A thread that does the same again and again, until it may end.
struct Busy {
    may_end: Arc<AtomicBool>,
    handle: Option<thread::Handle>,
}

impl Busy {
    /// One that never gives way by itself, and so blocks every transition.
    fn start(name: &str) -> Result<Self> {
        Self::repeating(name, core::hint::spin_loop)
    }

    /// One that does this, and has done it once by now.
    fn repeating(name: &str, mut work: impl FnMut() + Send + 'static) -> Result<Self> {
        let may_end = Arc::new(AtomicBool::new(false));
        let runs = Arc::new(AtomicBool::new(false));
        let (ends, begun) = (may_end.clone(), runs.clone());
        let handle = thread::spawn(name, move || {
            while !ends.load(Ordering::Relaxed) {
                work();
                begun.store(true, Ordering::Relaxed);
            }
        });
        let handle = Some(handle.map_err(|error| error.to_string())?);
        let busy = Self { may_end, handle };
        let until = deadline(SOON);
        while !runs.load(Ordering::Relaxed) {
            check!(arch::timebase() < until, "`{name}` does not begin");
            thread::yield_now();
        }
        Ok(busy)
    }

    /// Lets it end, and says if a fault has stopped it before.
    fn end(mut self) -> Result {
        self.may_end.store(true, Ordering::Relaxed);
        let handle = self.handle.take();
        handle.map_or(Ok(()), |handle| {
            handle.join().map_err(|error| error.to_string())
        })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.may_end.store(true, Ordering::Relaxed);
        if let Some(handle) = self.handle.take() {
            // A caller that cares about faults in patched code has called `end`.
            let _ = handle.join();
        }
    }
}
