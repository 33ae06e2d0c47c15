//! Costs of a transition, and what a sleeping thread adds to them.

use super::{
    Problem, Rows, cost_of,
    patched::{enable, problem},
};
use alloc::{format, sync::Arc, vec::Vec};
use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
};
use machine::arch;
use thread::{Activity, Handle, State, Thread};

/// How many frames the stack of each sleeping thread has.
const FRAMES: usize = 10;

/// The most that one sleeping thread may add.
const EACH: u64 = 1700;

/// Threads that sleep, and go back to sleep when they are woken.
pub(super) struct Sleepers {
    handles: Vec<Handle>,
    /// How deep each calls itself.
    depth: usize,
}

static AWAKE: AtomicBool = AtomicBool::new(false);

/// Sleeps under `depth` frames more.
#[inline(never)]
fn deep(depth: usize) -> usize {
    if depth > 0 {
        return black_box(deep(depth - 1)) + 1;
    }
    while !AWAKE.load(Ordering::Relaxed) {
        thread::park();
    }
    0
}

fn frames_of(thread: &Thread) -> usize {
    let _off = arch::interrupts_off();
    match thread.activity() {
        Activity::Waiting(r1) => {
            // SAFETY: the thread's own stack, and it does not run meanwhile.
            unsafe { arch::walk(r1, [thread.stack().range()]) }.count()
        }
        _ => 0,
    }
}

impl Sleepers {
    /// No thread yet.
    pub fn new() -> Self {
        AWAKE.store(false, Ordering::Relaxed);
        Self {
            handles: Vec::new(),
            depth: 1,
        }
    }

    /// So many threads sleep from here on, each under [`FRAMES`] frames.
    pub fn grow(&mut self, count: usize) -> Result<(), Problem> {
        while self.handles.len() < count {
            let depth = self.depth;
            let handle = thread::spawn("sleeper", move || {
                black_box(deep(depth));
            });
            let handle = handle.map_err(|error| format!("{error}"))?;
            // The first one shows how many frames there are anyway.
            if self.handles.is_empty() {
                // Other threads may run first.
                while handle.thread().state() != State::Asleep {
                    thread::yield_now();
                }
                let frames = frames_of(handle.thread());
                self.depth = (depth + FRAMES)
                    .checked_sub(frames)
                    .ok_or("too many frames")?;
            }
            self.handles.push(handle);
        }
        be_alone();
        let frames = self
            .handles
            .last()
            .map_or(0, |last| frames_of(last.thread()));
        if self.handles.len() > 1 && frames != FRAMES {
            return Err(format!(
                "a sleeping thread has {frames} frames instead of {FRAMES}"
            ));
        }
        Ok(())
    }

    /// All wake and end.
    pub fn end(self) -> Result<(), Problem> {
        AWAKE.store(true, Ordering::Relaxed);
        for handle in &self.handles {
            handle.thread().unpark();
        }
        let mut handles = self.handles.into_iter();
        handles.try_for_each(|handle| handle.join().map_err(|error| format!("{error}")))
    }
}

/// Lets all others run until none of them wants to. The thread that has begun last need
/// not be the last to fall asleep: a tick may have taken the CPU from another one, and
/// the stack of a preempted thread can't be relied on.
fn be_alone() {
    let me = thread::current().id();
    let is_awake = |other: Arc<Thread>| {
        let state = other.state();
        matches!(state, State::Ready | State::Running) && other.id() != me
    };
    while thread::all().any(is_awake) {
        thread::yield_now();
    }
}

/// What it costs to enable a patch and to disable it, when all
/// threads sleep.
fn in_and_out(name: &str) -> Result<[u64; 2], Problem> {
    let patch = enable(name)?;
    let module = patch.module.clone();
    drop(patch);
    livepatch::disable(name).map_err(problem)?;
    be_alone();
    // Now the module is loaded, and what the first time makes is there.
    let (on, result) = cost_of(|| livepatch::enable(&module, livepatch::Options::default()));
    result.map(drop).map_err(problem)?;
    let waits = livepatch::running().is_some();
    be_alone();
    let (off, result) = cost_of(|| livepatch::disable(name));
    result.map_err(problem)?;
    if waits || livepatch::running().is_some() {
        return Err("a transition has waited for a sleeping thread".into());
    }
    drop(module);
    livepatch::unload(name).map_err(problem)?;
    Ok([on, off])
}

pub(super) fn measure(rows: &mut Rows) -> Result<(), Problem> {
    let mut sleepers = Sleepers::new();
    let mut costs = Vec::new();
    for count in [10, 100, 1000, 10_000] {
        sleepers.grow(count)?;
        costs.push(in_and_out("soak1")?);
    }
    sleepers.end()?;
    let few_functions = in_and_out("soak10")?;
    let functions = in_and_out("soak100")?;
    let many_functions = in_and_out("soak1000")?;
    let [ten, hundred, thousand, all] = costs[..] else {
        return Ok(());
    };
    rows.add(
        "enable_10",
        "enabling a patch, 10 threads sleep",
        ten[0],
        None,
    );
    rows.add("enable_100", "100 sleep", hundred[0], None);
    rows.add("enable_1000", "1,000 sleep", thousand[0], None);
    rows.add("enable_10000", "10,000 sleep", all[0], None);
    rows.add("disable_10", "disabling it, 10 sleep", ten[1], None);
    rows.add("disable_100", "100 sleep", hundred[1], None);
    rows.add("disable_1000", "1,000 sleep", thousand[1], None);
    rows.add("disable_10000", "10,000 sleep", all[1], None);
    // Linear: a thread costs as much among ten thousand as among a hundred.
    let few = |way: usize| (hundred[way] - ten[way]) / 90;
    let many = |way: usize| (all[way] - ten[way]) / 9990;
    rows.add(
        "enable_each",
        "one of 100 threads, enabling",
        few(0),
        Some(EACH),
    );
    rows.add(
        "enable_each_many",
        "one of 10,000",
        many(0),
        Some(EACH.min(few(0) + few(0) / 20)),
    );
    rows.add(
        "disable_each",
        "one of 100 threads, disabling",
        few(1),
        Some(EACH),
    );
    rows.add(
        "disable_each_many",
        "one of 10,000",
        many(1),
        Some(EACH.min(few(1) + few(1) / 20)),
    );
    let few = |way: usize| (functions[way] - few_functions[way]) / 90;
    let many = |way: usize| (many_functions[way] - functions[way]) / 900;
    rows.add(
        "enable_function",
        "one of 100 functions, enabling",
        few(0),
        None,
    );
    rows.add("enable_function_many", "one of 1,000", many(0), None);
    rows.add(
        "disable_function",
        "one of 100 functions, disabling",
        few(1),
        None,
    );
    rows.add("disable_function_many", "one of 1,000", many(1), None);
    Ok(())
}
