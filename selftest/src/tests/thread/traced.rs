//! Tracing, with several threads.

use super::{deep, join, spawn, until};
use crate::{
    check,
    tests::common::{Counter, let_ticks_come, text},
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::{
    hint::{black_box, spin_loop},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use ftrace::{Filter, Flags, Ops};
use lab::targets;
use layout::CallFrame;
use machine::{arch, time};
use thread::{Handle, State};
use tracing::graph;

fn set(name: &str, value: &str) -> Result<(), String> {
    tracing::write(name, value).map_err(text)
}

fn trace() -> Result<String, String> {
    let mut trace = String::new();
    tracing::read("trace", &mut trace).map_err(text)?;
    Ok(trace)
}

fn reset() -> Result<(), String> {
    set("current_tracer", "nop")?;
    set("set_ftrace_filter", "")?;
    set("trace", "")
}

/// A callback that does not return from its first call before it may.
static STUCK: Ops = Ops::new("stuck", stuck, Flags::empty());
static CALLS: AtomicU64 = AtomicU64::new(0);
static LET_GO: AtomicBool = AtomicBool::new(false);
static LEFT: AtomicBool = AtomicBool::new(false);

extern "C" fn stuck(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    if CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
        while !LET_GO.load(Ordering::Relaxed) {
            spin_loop();
        }
        LEFT.store(true, Ordering::Relaxed);
    }
}

/// A guarded callback that lets others run, and one that counts.
static GIVES_WAY: Ops = Ops::new("gives way", gives_way, Flags::empty());
static COUNTS: Counter = Counter::new("counts", Flags::empty());
static INSIDE: AtomicBool = AtomicBool::new(false);

extern "C" fn gives_way(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    INSIDE.store(true, Ordering::Relaxed);
    while !LET_GO.load(Ordering::Relaxed) {
        thread::yield_now();
    }
}

/// Threads that call ten functions deep and give way at the bottom.
fn divers(names: &[&str]) -> Result<Vec<Handle>, String> {
    let here = Arc::new(AtomicU64::new(0));
    let all = names.len() as u64;
    names
        .iter()
        .map(|name| {
            let here = here.clone();
            spawn(name, move || {
                deep::call(&|| {
                    // No thread comes up before all are down.
                    here.fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                    while here.load(Ordering::Relaxed) < all {
                        thread::yield_now();
                    }
                });
                // Its name is asked for later.
                thread::park();
            })
        })
        .collect()
}

fn release(handles: Vec<Handle>) -> super::super::Result {
    handles.into_iter().try_for_each(|handle| {
        handle.thread().unpark();
        join(handle)
    })
}

/// The lines of each thread in a graph, and how often they change.
fn by_thread<'a>(trace: &'a str, names: &[String]) -> (Vec<Vec<&'a str>>, usize) {
    let mut lines: Vec<Vec<&str>> = names.iter().map(|_| Vec::new()).collect();
    let (mut now, mut first, mut changes) = (None, Vec::new(), 0);
    for line in trace.lines().filter(|line| !line.starts_with(['#'])) {
        let place = |name: &str| names.iter().position(|one| one == name.trim());
        if let Some((from, to)) = line.split_once("=>") {
            let from = from.trim_start().trim_start_matches("0)");
            if changes == 0
                && let Some(from) = place(from)
            {
                lines[from].append(&mut first);
            }
            now = place(to);
            changes += 1;
        } else if let Some((_, call)) = line.split_once("|  ") {
            match now {
                Some(now) => lines[now].push(call),
                None => first.push(call),
            }
        }
    }
    (lines, changes)
}

crate::selftest! {
    /// The function trace says which thread has called, as long as the thread lives.
    fn threads_are_named() {
        reset()?;
        set("set_ftrace_filter", "c_leaf")?;
        set("current_tracer", "function")?;
        let mut handles = Vec::new();
        for name in ["alpha", "beta"] {
            handles.push(spawn(name, || {
                black_box(targets::c_leaf(1));
                thread::park();
            })?);
        }
        until("both calls", || handles.iter().all(|one| one.thread().state() == State::Asleep))?;
        black_box(targets::c_leaf(1));
        set("current_tracer", "nop")?;
        let living = trace()?;
        let ids: Vec<u32> = handles.iter().map(|one| one.thread().id()).collect();
        release(handles)?;
        let ended = trace()?;
        reset()?;
        for name in [format!(" alpha-{} ", ids[0]), format!(" beta-{} ", ids[1]), " main-0 ".into()] {
            check!(living.lines().filter(|line| line.contains(&name)).count() == 1, "`{name}` is not there once: {living}");
        }
        check!(ended.contains(&format!(" <...>-{} ", ids[0])) && ended.contains(" main-0 "), "{ended}");
        Ok(())
    }

    /// With every function's return hooked, the scheduler's own too, threads that are
    /// preempted, sleep, begin and end compute what they should.
    fn everything_can_be_graphed() {
        reset()?;
        let expected: Vec<u64> = (0..20).map(targets::workload).collect();
        let expected = Arc::new(expected);
        let wrong = Arc::new(AtomicU64::new(0));
        set("current_tracer", "function_graph")?;
        let mut handles = Vec::new();
        for number in 0..6_u64 {
            let (expected, wrong) = (expected.clone(), wrong.clone());
            handles.push(spawn("worker", move || {
                let end = arch::timebase() + time::timebase_ticks(Duration::from_millis(15));
                while arch::timebase() < end {
                    for (seed, &expected) in expected.iter().enumerate() {
                        if targets::workload(seed as u64) != expected {
                            wrong.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    match number % 3 {
                        0 => thread::yield_now(),
                        1 => thread::sleep(Duration::from_micros(700)),
                        _ => {}
                    }
                }
                if graph::depth() > 8 {
                    wrong.fetch_add(1000, Ordering::Relaxed);
                }
            })?);
        }
        handles.into_iter().try_for_each(join)?;
        reset()?;
        let wrong = wrong.load(Ordering::Relaxed);
        check!(wrong == 0, "{wrong} wrong results");
        check!(graph::depth() == 0, "{} calls are still hooked", graph::depth());
        check!(ftrace::retired() == 0, "{} trampolines are left", ftrace::retired());
        Ok(())
    }

    /// Detaching an ops waits for a thread that was taken off the CPU in its callback,
    /// and afterwards it is not called.
    fn detaching_waits() {
        check!(ftrace::retired() == 0, "{} trampolines are left from before", ftrace::retired());
        for flag in [&LET_GO, &LEFT] {
            flag.store(false, Ordering::Relaxed);
        }
        CALLS.store(0, Ordering::Relaxed);
        let memory = machine::mm::code::used();
        ftrace::register(&STUCK, &Filter::only(&["lab::targets::leaf"])).map_err(text)?;
        let caller = spawn("stuck", || { black_box(targets::leaf(1)); })?;
        until("the callback", || CALLS.load(Ordering::Relaxed) == 1)?;
        // Lets it go only when the detaching has had time to return too early.
        let helper = spawn("helper", || {
            let_ticks_come(4);
            LET_GO.store(true, Ordering::Relaxed);
        })?;
        let result = ftrace::unregister(&STUCK);
        let (left, calls, retired) = (LEFT.load(Ordering::Relaxed), CALLS.load(Ordering::Relaxed), ftrace::retired());
        black_box(targets::leaf(1));
        join(helper)?;
        join(caller)?;
        result.map_err(text)?;
        check!(left, "it returned while the callback was running");
        let after = CALLS.load(Ordering::Relaxed);
        check!(calls == 1 && after == 1, "{calls} calls, and {after} in the end");
        let used = machine::mm::code::used();
        check!(retired == 0 && used == memory, "{retired} trampolines are left, {used} bytes of code memory after {memory}");
        Ok(())
    }

    /// A callback that lets others run keeps its guard to itself: their calls are
    /// traced meanwhile.
    fn guards_are_the_threads_own() {
        LET_GO.store(false, Ordering::Relaxed);
        INSIDE.store(false, Ordering::Relaxed);
        COUNTS.take();
        ftrace::register(&GIVES_WAY, &Filter::only(&["lab::targets::leaf"])).map_err(text)?;
        ftrace::register(&COUNTS.ops, &Filter::only(&["lab::targets::inner"])).map_err(text)?;
        let handle = spawn("inside", || {
            black_box(targets::leaf(1));
            // The guard is gone, and this is traced.
            black_box(targets::inner(1));
        })?;
        until("the callback", || INSIDE.load(Ordering::Relaxed))?;
        black_box(targets::inner(1));
        let fresh = spawn("fresh", || { black_box(targets::inner(1)); })?;
        join(fresh)?;
        let meanwhile = COUNTS.take();
        LET_GO.store(true, Ordering::Relaxed);
        join(handle)?;
        let all = meanwhile + COUNTS.take();
        for ops in [&GIVES_WAY, &COUNTS.ops] {
            ftrace::unregister(ops).map_err(text)?;
        }
        check!(meanwhile == 2 && all == 3, "{meanwhile} calls meanwhile, {all} in all");
        Ok(())
    }
}

crate::selftest! {
    one_cpu;

    /// A call from a thread that was switched to inside an interrupt is not marked
    /// as an interrupt's.
    fn interrupt_marks_are_the_threads_own() {
        static STOP: AtomicBool = AtomicBool::new(false);
        STOP.store(false, Ordering::Relaxed);
        reset()?;
        // It is always an interrupt that takes the CPU off this one...
        let spinner = spawn("spinner", || while !STOP.load(Ordering::Relaxed) { spin_loop() })?;
        set("set_ftrace_filter", "c_leaf machine::time::tick")?;
        set("current_tracer", "function")?;
        for _ in 0..20 {
            // ...and this one gives it back by itself.
            thread::yield_now();
            black_box(targets::c_leaf(1));
        }
        set("current_tracer", "nop")?;
        STOP.store(true, Ordering::Relaxed);
        join(spinner)?;
        let trace = trace()?;
        reset()?;
        let marked = |what: &str, mark: &str| trace.lines().filter(|line| line.contains(what) && line.contains(mark)).count();
        check!(marked("c_leaf", "[000] ....") == 20, "{trace}");
        check!(marked("time::tick", "[000] d.h.") > 10 && marked("time::tick", "[000] ....") == 0, "{trace}");
        Ok(())
    }
}

crate::selftest! {
    one_cpu;

    /// The graph keeps the calls of threads apart that run in turns, and each comes
    /// home.
    fn graphs_are_kept_apart() {
        reset()?;
        set("set_ftrace_filter", deep::PATTERN)?;
        set("current_tracer", "function_graph")?;
        let handles = divers(&["alpha", "beta", "gamma"])?;
        let ended = until("their ascent", || handles.iter().all(|one| {
            one.thread().state() == State::Asleep && one.thread().returns.used.load(Ordering::Relaxed) == 0
        }));
        let trace = trace()?;
        let names: Vec<String> = handles.iter().map(|one| format!("{}-{}", one.thread().name(), one.thread().id())).collect();
        release(handles)?;
        reset()?;
        ended?;
        let (lines, changes) = by_thread(&trace, &names);
        check!(changes >= 3, "{changes} changes: {trace}");
        let path = deep::PATTERN.trim_end_matches('*');
        let functions = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
        for (lines, name) in lines.iter().zip(&names) {
            check!(lines.len() == 20, "{name} has {} lines: {trace}", lines.len());
            for (depth, function) in functions.iter().enumerate() {
                let indent = 2 * depth;
                let (open, close) = (format!("{:indent$}{path}{function}() {{", ""), format!("{:indent$}}}", ""));
                check!(lines[depth] == open, "{name}: `{}` instead of `{open}`", lines[depth]);
                check!(lines[19 - depth] == close, "{name}: `{}` instead of `{close}`", lines[19 - depth]);
            }
        }
        Ok(())
    }
}
