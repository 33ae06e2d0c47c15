//! The demonstration, act by act.

mod first;
mod more;
mod several;

use super::{
    events,
    line::{Line, Lines},
    workload::{self, NAMES},
};
use crate::bank;
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::{mem, time::Duration};
use ftrace::Site;
use livepatch::{Blocked, Options, Patch, Progress};
use machine::{arch, console, symbols, time};
use report::Record;
use thread::{Handle, Thread, backtrace};

/// Threads that come and go before memory is looked at.
const REHEARSAL: usize = 16;

/// Has the lists that never shrink grow to what they will need: those of threads,
/// timers and patches. Afterwards, memory that is not given back is lost memory.
///
/// # Errors
/// When the patches can't be enabled, or not be unloaded.
pub fn rehearse() -> Result<(), String> {
    let spawn = |_| {
        thread::spawn("rehearsal", || {
            let soon = arch::timebase() + time::timebase_ticks(Duration::from_millis(2));
            thread::park_until(soon);
        })
    };
    let threads: Vec<_> = (0..REHEARSAL).map(spawn).collect();
    for thread in threads.into_iter().flatten() {
        // Nothing can stop it, and if it did there would be a log line.
        let _ = thread.join();
    }
    let patches = ["two_percent", "three_percent"];
    for name in patches {
        drop(enable(name)?);
        livepatch::wait();
    }
    patches.into_iter().try_for_each(unload)
}

/// What all steps share.
struct Stage {
    handles: Vec<Handle>,
    /// All threads of the kernel, by number.
    threads: Vec<u32>,
    site: Site,
    /// Transitions so far, and those in which each thread switched exactly once.
    transitions: u32,
    complete: u32,
    /// What the steps found.
    found: Found,
}

/// What the steps found, each of which must hold.
#[derive(Default)]
struct Found {
    blocked: bool,
    settled: bool,
    stacked: bool,
    replaced: bool,
    reversed: bool,
    /// On one CPU there is none.
    parallel: Option<bool>,
}

/// Goes through all steps.
pub fn run(lines: &mut Lines) {
    let asked_before = bank::asked();
    livepatch::observe(Some(events::observer));
    let result = play(lines);
    livepatch::observe(None);
    if let Err(problem) = result {
        lines.push(Line::new("steps", format_args!("{problem}"), false));
        return;
    }
    let (answers, bad) = workload::totals();
    let all: u64 = answers.iter().sum();
    lines.push(Line::new(
        "sides",
        format_args!("{all} calls ran their thread's version, {bad} another or a mixture"),
        bad == 0 && all > 0,
    ));
    let mut asked = bank::asked();
    for (now, before) in asked.iter_mut().zip(asked_before) {
        *now -= before;
    }
    let [_, one, two, three, four] = asked;
    lines.push(Line::new(
        "counts",
        format_args!("{one} + {two} + {three} + {four} calls, as callers count"),
        asked == answers,
    ));
}

fn play(lines: &mut Lines) -> Result<(), String> {
    let handles = workload::open().map_err(|error| format!("{error}"))?;
    let function = bank::balance as extern "C" fn(u64, u64) -> u64 as usize as u64;
    let site = ftrace::find_site(function).ok_or("the function has no site")?;
    let mut stage = Stage {
        handles,
        threads: thread::all().map(|thread| thread.id()).collect(),
        site,
        transitions: 0,
        complete: 0,
        found: Found::default(),
    };
    stage.at_work()?;
    stage.before();
    stage.enabled()?;
    stage.answers();
    stage.more()?;
    workload::close(mem::take(&mut stage.handles)).map_err(|error| format!("{error}"))?;
    stage.several()?;
    let Stage {
        found,
        transitions,
        complete,
        ..
    } = stage;

    let stray = events::stray();
    lines.push(Line::new(
        "switches",
        format_args!(
            "in {complete} of {transitions} transitions each thread switched once; {stray} stray"
        ),
        complete == transitions && transitions > 0 && stray == 0,
    ));
    let checks = [
        (
            "blocked",
            "by the threads inside the old function, until they had left it",
            found.blocked,
        ),
        (
            "settled",
            "calls go straight to the new function when all have switched",
            found.settled,
        ),
        (
            "stacked",
            "the newest patch counts, and the one below when it is gone",
            found.stacked,
        ),
        (
            "replaced",
            "one patch took the place of all others",
            found.replaced,
        ),
        (
            "reversed",
            "all went back, and no thread was left on the other side",
            found.reversed,
        ),
    ];
    lines.extend(checks.map(|(what, text, right)| Line::new(what, format_args!("{text}"), right)));
    if let Some(right) = found.parallel {
        let text = "calls of two CPUs at once, and a transition that waits for one of them";
        lines.push(Line::new("parallel", format_args!("{text}"), right));
    }
    Ok(())
}

impl Stage {
    /// Starts a transition to a rate, by `start`, while each thread sleeps that can.
    fn begin<T>(
        &self,
        rate: usize,
        start: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        if !workload::until_asleep(&self.handles) {
            return Err("a thread does not fall asleep".into());
        }
        events::lead_to(rate);
        start()
    }

    /// Waits until all threads have switched but some.
    fn until_all_but(&self, some: usize) -> Result<(), String> {
        let wanted = self.threads.len() - some;
        workload::until(|| events::switches(false).len() == wanted)
            .then_some(())
            .ok_or_else(|| format!("not {wanted} threads switch"))
    }

    /// Waits until the transition has ended, and looks who switched in it.
    fn end(&mut self) -> Result<(), String> {
        if !workload::until(|| livepatch::running().is_none()) {
            let held = self.held().into_iter().next();
            let (name, reason) = held.map_or_else(Default::default, |one| (one.name, one.reason));
            return Err(format!("a transition does not end: {name}: {reason}"));
        }
        livepatch::wait();
        self.transitions += 1;
        let (over, back) = (events::switches(false), events::switches(true));
        let gone: Vec<u32> = over.iter().map(|switch| switch.thread).collect();
        let well = if back.is_empty() {
            events::each_once(&over, &self.threads)
        } else {
            // Reversed: those go back who switched.
            events::each_once(&over, &gone) && events::each_once(&back, &gone)
        };
        self.complete += u32::from(well);
        Ok(())
    }

    /// The number of one of the threads.
    fn id(&self, who: usize) -> u32 {
        self.handles[who].thread().id()
    }

    /// Waits until one of the threads has switched, or back.
    fn until_switched(&self, who: usize, back: bool) -> Result<(), String> {
        let id = self.id(who);
        workload::until(|| events::has_switched(id, back))
            .then_some(())
            .ok_or_else(|| format!("{} does not switch", NAMES[who]))
    }

    /// The threads that block the transition now, and why; into the report too.
    fn held(&self) -> Vec<Holder> {
        let held = livepatch::progress();
        held.iter().filter_map(holder).collect()
    }

    /// Prints which threads block the transition, and says whether it is these.
    fn show_held(&self, wanted: &[usize]) -> bool {
        // Not in the middle of a look at the lock, or their stacks can't be read.
        if !workload::until_asleep(&self.handles) {
            return false;
        }
        let held = self.held();
        for one in &held {
            let calls = if one.depth == 1 { "call" } else { "calls" };
            println!(
                "    {:<10} {} ({} {calls})",
                one.name, one.reason, one.depth
            );
        }
        let wanted = wanted.iter().map(|&who| self.id(who));
        held.iter().map(|one| one.id).eq(wanted)
    }
}

/// A thread that blocks a transition.
struct Holder {
    id: u32,
    name: String,
    reason: String,
    /// How many calls of the function, in whatever version, are on its stack.
    depth: usize,
}

/// A thread that blocks the transition, if this one does; into the report too.
fn holder(one: &Progress) -> Option<Holder> {
    let held = one.blocked?;
    let reason = format!("{held}");
    let function = match held {
        Blocked::Function { function } => format!("{}", symbols::Path(function)),
        Blocked::Unreliable(_) => String::new(),
    };
    let time = arch::timebase();
    let (thread, name) = (one.thread.id(), one.thread.name());
    console::report(&Record::Blocked {
        thread,
        name,
        reason: &reason,
        function: &function,
        time,
    });
    Some(Holder {
        id: thread,
        name: name.into(),
        depth: depth(&one.thread),
        reason,
    })
}

/// How many calls of the bank's functions are on a thread's stack.
fn depth(thread: &Thread) -> usize {
    let is_balance = |place: u64| {
        let path = format!("{}", symbols::Path(place));
        path.ends_with("::balance") || path.ends_with("::grown")
    };
    backtrace::steps_of(thread, |steps| {
        steps.filter(|step| is_balance(step.place())).count()
    })
}

/// Enables a patch from the initrd.
fn enable(name: &str) -> Result<Arc<Patch>, String> {
    let file = loader::find_file(name)?;
    livepatch::load(file.bytes, Options::default()).map_err(|error| format!("{error}"))
}

/// Disables a patch.
fn disable(name: &str) -> Result<(), String> {
    livepatch::disable(name).map_err(|error| format!("{error}"))
}

/// Unloads a patch's module.
fn unload(name: &str) -> Result<(), String> {
    livepatch::unload(name).map_err(|error| format!("{error}"))
}
