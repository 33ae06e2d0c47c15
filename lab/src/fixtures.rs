//! What cases have in common: modules that come and go, transitions that stay where
//! they are, and trials, which may fail in any way.

use super::{
    functions::{self, HOLD},
    gate::deadline,
};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
};
use core::{fmt, time::Duration};
use livepatch::{LivepatchError, Options};
use loader::Module;
use machine::{arch, sync::IrqLock};
use thread::Handle;

/// Why a case was not passed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// Something else was found than what it asks for.
    Failed(String),
    /// The kernel refused.
    Refused(String),
}

impl From<String> for Finding {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Refused(text) => f.write_str(text),
        }
    }
}

/// What a case returns: what is worth telling of a pass, or what it found instead.
pub type Outcome = Result<String, Finding>;

/// A pass of which there is nothing to tell.
pub fn pass() -> Outcome {
    Ok(String::new())
}

/// Ends a case as failed, unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(alloc::format!($($message)+).into());
        }
    };
}
pub(super) use ensure;

/// How calls of a patched function get to the new one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// While a transition runs: through the trampoline, which asks for the thread's
    /// patch state.
    Transition,
    /// Afterwards: by the settled stub.
    Settled,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transition => "in transition",
            Self::Settled => "settled",
        })
    }
}

/// Name of the threads that may be stopped by whatever fault they meet.
pub const TRIAL: &str = "trial";

/// Runs something that may fault or hang in a thread of its own.
///
/// # Errors
/// A sentence on how it ended instead of returning.
pub fn trial<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    Trial::start(body)?.finish()
}

/// Something that runs in a thread of its own.
pub struct Trial<T> {
    thread: Handle,
    result: Arc<IrqLock<Option<T>>>,
}

impl<T: Send + 'static> Trial<T> {
    /// Starts it.
    pub fn start(body: impl FnOnce() -> T + Send + 'static) -> Result<Self, String> {
        let result = Arc::new(IrqLock::new(None));
        let slot = result.clone();
        let thread = thread::spawn(TRIAL, move || {
            let value = body();
            *slot.lock() = Some(value);
        });
        let thread = thread.map_err(|error| error.to_string())?;
        Ok(Self { thread, result })
    }

    /// Waits for its result.
    pub fn finish(self) -> Result<T, String> {
        if !self.thread.wait_until(deadline()) {
            return Err("the call did not return in time".into());
        }
        if self.thread.join().is_err() {
            return Err("its thread was stopped by a fault".into());
        }
        let result = self.result.lock().take();
        result.ok_or_else(|| "its thread ended without a result".into())
    }
}

/// A thread in the old [`functions::hold`], which keeps a transition going as long as
/// it is there.
struct Holder(Trial<u64>);

impl Holder {
    fn start() -> Result<Self, String> {
        HOLD.shut();
        let trial = Trial::start(|| functions::hold(functions::idle))?;
        if HOLD.is_reached() {
            Ok(Self(trial))
        } else {
            HOLD.open();
            Err("no thread got into `hold`".into())
        }
    }

    fn release(self) -> Result<(), String> {
        HOLD.open();
        self.0.finish().map(drop)
    }
}

/// The module's file in the initrd, in the convention that is in use.
pub fn file(name: &str) -> Result<&'static [u8], String> {
    loader::find_file(name).map(|file| file.bytes)
}

/// Loads a module.
pub fn load(name: &str) -> Result<Arc<Module>, Finding> {
    loader::load(file(name)?).map_err(|error| Finding::Refused(error.to_string()))
}

/// Enables a patch.
pub fn enable(module: &Arc<Module>) -> Result<(), Finding> {
    match livepatch::enable(module, Options::default()) {
        Ok(_) => Ok(switch_side()?),
        Err(error @ LivepatchError::Busy { .. }) => Err(error.to_string().into()),
        Err(error) => Err(Finding::Refused(error.to_string())),
    }
}

/// Sees to it that this thread has made the transition that runs, if one does: the
/// trials that it starts inherit its side.
pub fn switch_side() -> Result<(), String> {
    thread::safe_point();
    let me = thread::current().id();
    let mut threads = livepatch::progress().into_iter();
    match threads.find(|progress| progress.thread.id() == me) {
        Some(progress) if !progress.switched => {
            let why = progress
                .blocked
                .map_or(String::new(), |held| held.to_string());
            Err(format!("the thread that asks can't switch: {why}"))
        }
        _ => Ok(()),
    }
}

/// Unloads a module.
pub fn unload(name: &str) -> Result<(), Finding> {
    loader::unload(name).map_err(|error| error.to_string().into())
}

/// Waits until no transition runs.
pub fn settle() -> Result<(), String> {
    let until = deadline();
    while livepatch::running().is_some() {
        if arch::timebase() > until {
            let held = livepatch::progress().into_iter().find_map(|progress| {
                let why = progress.blocked?;
                Some(format!("{}: {why}", progress.thread.name()))
            });
            return Err(format!(
                "the transition does not end; {}",
                held.unwrap_or_default()
            ));
        }
        // Its end is looked for again and again: nothing rests on how long this takes.
        thread::sleep(Duration::from_millis(1));
    }
    livepatch::wait();
    Ok(())
}

/// Disables a patch and waits until all threads have left it.
pub fn disable(name: &str) -> Result<(), Finding> {
    livepatch::disable(name).map_err(|error| error.to_string())?;
    Ok(settle()?)
}

/// Whether the old function's calls take the way that they should.
pub fn check_way(old: u64, way: Way) -> Result<(), String> {
    let short = livepatch::way_of(old).is_some();
    if short == (way == Way::Settled) {
        Ok(())
    } else {
        let found = if short { "settled stub" } else { "trampoline" };
        Err(format!("{way}, calls go by the {found}"))
    }
}

/// Loads and enables the patch `name`, runs `body` while the transition runs and
/// again when it has ended, and takes the patch away again. The patch replaces
/// [`functions::hold`] among others.
pub fn both_ways(name: &str, body: impl Fn(Way) -> Result<(), Finding>) -> Outcome {
    both_ways_of(name, || load(name), body)
}

/// The same, with a module that is loaded in some other way.
pub fn both_ways_of(
    name: &str,
    load: impl FnOnce() -> Result<Arc<Module>, Finding>,
    body: impl Fn(Way) -> Result<(), Finding>,
) -> Outcome {
    let module = load()?;
    let holder = match Holder::start() {
        Ok(holder) => holder,
        Err(text) => {
            drop(module);
            unload(name)?;
            return Err(text.into());
        }
    };
    let enabled = enable(&module);
    drop(module);
    let result = enabled.and_then(|()| {
        ensure!(
            livepatch::running().is_some(),
            "the transition has ended at once"
        );
        body(Way::Transition).map_err(|found| located(Way::Transition, found))
    });
    let released = holder.release();
    let settled = settle();
    let result = result.and_then(|()| {
        released?;
        settled?;
        body(Way::Settled).map_err(|found| located(Way::Settled, found))
    });
    let cleaned = clean(name);
    result?;
    cleaned?;
    pass()
}

/// Loads and enables the patch `name`, runs `body` when the transition has ended, and
/// takes the patch away again.
pub fn settled(name: &str, body: impl Fn() -> Outcome) -> Outcome {
    let module = load(name)?;
    let enabled = enable(&module);
    drop(module);
    let result = enabled.and_then(|()| Ok(settle()?)).and_then(|()| body());
    clean(name)?;
    result
}

/// Takes a patch away, whatever state it was left in.
pub fn clean(name: &str) -> Result<(), Finding> {
    settle()?;
    if livepatch::find(name).is_some() {
        disable(name)?;
    }
    unload(name)
}

fn located(way: Way, found: Finding) -> Finding {
    match found {
        Finding::Failed(text) => Finding::Failed(format!("{way}: {text}")),
        Finding::Refused(text) => Finding::Refused(format!("{way}: {text}")),
    }
}
