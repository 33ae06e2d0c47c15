//! Costs of a call of a function that is patched.

use super::{EMPTY, Problem, Rows, call_cost, text};
use crate::instruments::calls::AtOnce;
use alloc::{format, string::String, sync::Arc};
use core::sync::atomic::{AtomicU64, Ordering};
use ftrace::Filter;
use livepatch::{LivepatchError, Options, Patch};

/// Modules that patch so many functions, this one among them.
const MODULES: [(&str, &str, [&str; 2]); 4] = [
    ("patched_1", "soak1", ["patched_1_moving", "1 function"]),
    (
        "patched_10",
        "soak10",
        ["patched_10_moving", "10 functions"],
    ),
    (
        "patched_100",
        "soak100",
        ["patched_100_moving", "100 functions"],
    ),
    (
        "patched_1000",
        "soak1000",
        ["patched_1000_moving", "1,000 functions"],
    ),
];

/// Loads a module of the initrd and enables it.
pub(super) fn enable(name: &str) -> Result<Arc<Patch>, Problem> {
    let file = loader::find_file(name)?;
    livepatch::load(file.bytes, Options::default()).map_err(problem)
}

pub(super) fn problem(error: LivepatchError) -> String {
    format!("{error}")
}

/// A thread that is off the CPU without having given way. Its stack can't be relied on,
/// so it blocks a transition.
pub struct Busy {
    handle: thread::Handle,
    /// 0, then 1 when it runs, then 2 when it may end.
    state: Arc<AtomicU64>,
}

impl Busy {
    /// Returns when it runs.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn start() -> Result<Self, Problem> {
        let state = Arc::new(AtomicU64::new(0));
        let own = state.clone();
        let handle = thread::spawn("busy", move || {
            own.store(1, Ordering::Relaxed);
            while own.load(Ordering::Relaxed) != 2 {}
        });
        let handle = handle.map_err(|error| format!("{error}"))?;
        while state.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        Ok(Self { handle, state })
    }

    /// Lets it end.
    ///
    /// # Errors
    /// When it was stopped by a fault.
    pub fn end(self) -> Result<(), Problem> {
        self.state.store(2, Ordering::Relaxed);
        self.handle.join().map_err(|error| format!("{error}"))
    }
}

pub(super) fn measure(rows: &mut Rows) -> Result<(), Problem> {
    let function = AtOnce::Many;
    let rest = call_cost(function)?;
    let mut first = None;
    for (settled, module, [moving, _]) in MODULES {
        drop(enable(module)?);
        livepatch::wait();
        let cost = call_cost(function)? - rest;
        let (start, end) =
            livepatch::way_of(function.address()).ok_or("a call takes the long way")?;
        let traced = if first.is_none() {
            ftrace::register(&EMPTY, &Filter::only(&["bench_many_000"])).map_err(text)?;
            let traced = call_cost(function)? - rest;
            ftrace::unregister(&EMPTY).map_err(text)?;
            Some(traced)
        } else {
            None
        };
        let busy = Busy::start()?;
        livepatch::disable(module).map_err(problem)?;
        let is_moving = livepatch::running().is_some();
        let in_transition = call_cost(function)? - rest;
        busy.end()?;
        livepatch::wait();
        if !is_moving {
            return Err(format!("{module}: the transition has not waited"));
        }
        livepatch::unload(module).map_err(problem)?;
        let limits = first.unwrap_or((18, 130));
        first.get_or_insert((cost, in_transition));
        // With more functions, no more than with one.
        rows.add(settled, "patched, and so many others", cost, Some(limits.0));
        rows.add(
            moving,
            "the same, in a transition",
            in_transition,
            Some(limits.1),
        );
        if let Some(traced) = traced {
            rows.add("patched_traced", "patched and traced", traced, None);
            rows.count("settled_stub", "a settled stub", "bytes", end - start);
        }
    }
    Ok(())
}
