//! The tracers, through their controls.

use crate::{
    check,
    tests::{
        common::{join, let_ticks_come, spawn, text},
        goes_on,
    },
};
use alloc::{format, string::String, vec::Vec};
use core::{ffi::c_long, hint::black_box, sync::atomic::Ordering, time::Duration};
use demo::bank;
use lab::targets::{self, CALLS};
use machine::{cpus, symbols::Place};
use thread::backtrace::{self, Step, What};
use tracing::{ControlError, counts, graph, hits};

fn set(name: &str, value: &str) -> Result<(), String> {
    tracing::write(name, value).map_err(|error| format!("{name} = {value}: {error}"))
}

fn get(name: &str) -> Result<String, String> {
    let mut text = String::new();
    tracing::read(name, &mut text).map_err(|error| format!("{name}: {error}"))?;
    Ok(text)
}

fn enable(name: &str) -> Result<(), String> {
    let file = loader::find_file(name)?;
    livepatch::load(file.bytes, livepatch::Options::default()).map_err(text)?;
    livepatch::wait();
    Ok(())
}

fn hits_on() -> Result<(), String> {
    set("function_profile_enabled", "1")
}

/// Everything as at boot.
fn reset() -> Result<(), String> {
    for (name, value) in [
        ("current_tracer", "nop"),
        ("function_profile_enabled", "0"),
        ("set_ftrace_filter", ""),
        ("set_ftrace_notrace", ""),
        ("tracing_on", "1"),
        ("trace", ""),
    ] {
        set(name, value)?;
    }
    Ok(())
}

/// The lines of a trace below its header.
fn events(trace: &str) -> Vec<&str> {
    trace
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect()
}

/// Looks at the stack from `depth` calls further down.
#[inline(never)]
fn looks_around(depth: u64, steps: &mut [Step]) -> usize {
    let count = match depth {
        0 => backtrace::here(steps),
        _ => looks_around(black_box(depth - 1), steps),
    };
    // Keeps this from being a tail call.
    black_box(targets::leaf(count as u64));
    count
}

crate::selftest! {
    /// The function tracer records callers and callees, in order.
    fn function_tracer_records_calls() {
        reset()?;
        set("set_ftrace_filter", "lab::targets::inner lab::targets::outer c_leaf")?;
        set("current_tracer", "function")?;
        black_box(targets::outer(1));
        black_box(targets::c_tail(1));
        set("current_tracer", "nop")?;
        let trace = get("trace")?;
        reset()?;
        check!(trace.starts_with("# tracer: function\n"), "{trace}");
        let events = events(&trace);
        let expected = [
            "lab::targets::outer <-selftest::tests::tracing::function_tracer_records_calls",
            "lab::targets::inner <-lab::targets::outer",
            "c_leaf <-selftest::tests::tracing::function_tracer_records_calls",
        ];
        check!(events.len() == 3, "{trace}");
        for (event, expected) in events.iter().zip(expected) {
            check!(event.contains(expected), "`{expected}` is not in: {event}");
            check!(event.contains("main-0      [") && event.contains("] ...."), "{event}");
        }
        Ok(())
    }

    /// A call from an interrupt handler is marked as such.
    fn interrupts_are_marked() {
        reset()?;
        set("set_ftrace_filter", "machine::time::tick")?;
        set("current_tracer", "function")?;
        let_ticks_come(2);
        set("current_tracer", "nop")?;
        let trace = get("trace")?;
        reset()?;
        let event = events(&trace).first().copied().unwrap_or_default();
        check!(event.contains("] d.h."), "{event}");
        Ok(())
    }

    /// A ring that is full drops the newest records, and says how many.
    fn full_rings_count_what_they_drop() {
        reset()?;
        let before = (tracing::written(), tracing::dropped());
        set("set_ftrace_filter", "c_leaf")?;
        set("current_tracer", "function")?;
        // More than all rings hold: this thread may be moved from one CPU to another.
        let calls = 5000 * cpus::count() as u64;
        for value in 0..calls {
            black_box(targets::c_leaf(value as c_long));
        }
        set("current_tracer", "nop")?;
        let (written, dropped) = (tracing::written() - before.0, tracing::dropped() - before.1);
        let events = events(&get("trace")?).len() as u64;
        reset()?;
        check!(written + dropped == calls && dropped > 0, "{written} written, {dropped} dropped");
        check!(events == written, "{events} events of {written}");
        Ok(())
    }

    /// Each CPU has a ring of its own; shown together, records are in the order of their times, and
    /// shown by CPU, each is there once.
    fn each_cpu_has_a_ring() {
        reset()?;
        let before: Vec<u64> = (0..cpus::count()).map(|cpu| counts(cpu).written).collect();
        set("set_ftrace_filter", "c_leaf")?;
        set("current_tracer", "function")?;
        let work = move || {
            let is_written = |cpu: usize| counts(cpu).written > before[cpu];
            while !(0..cpus::count()).all(is_written) {
                black_box(targets::c_leaf(1));
                goes_on();
                thread::sleep(Duration::from_millis(1));
            }
        };
        let threads = (0..2 * cpus::count()).map(|_| spawn("traced", work.clone()));
        let threads: Vec<_> = threads.collect::<core::result::Result<_, _>>()?;
        threads.into_iter().try_for_each(join)?;
        set("current_tracer", "nop")?;
        let all = get("trace")?;
        let times = |trace: &str| -> Vec<String> {
            let time = |line: &&str| line.split_whitespace().nth(3).map(String::from);
            events(trace).iter().filter_map(time).collect()
        };
        check!(times(&all).is_sorted(), "{all}");
        let mut shown = 0;
        for cpu in 0..cpus::count() {
            let one = get(&format!("per_cpu/cpu{cpu}/trace"))?;
            let mark = format!("[{cpu:03}]");
            let all_marked = events(&one).iter().all(|event| event.contains(&mark));
            check!(all_marked && !events(&one).is_empty(), "{one}");
            shown += events(&one).len();
            let stats = get(&format!("per_cpu/cpu{cpu}/stats"))?;
            check!(stats.starts_with("entries: 0\n"), "{stats}");
        }
        reset()?;
        check!(shown == events(&all).len(), "{shown} records of {}", events(&all).len());
        let missing = format!("per_cpu/cpu{}/trace", cpus::count());
        check!(get(&missing).is_err(), "there is a `{missing}`");
        Ok(())
    }

    /// The function profile counts what the functions count themselves.
    fn hit_counts_equal_calls() {
        reset()?;
        set("function_profile_enabled", "1")?;
        let counters = [
            ("lab::targets::leaf", &CALLS.leaf),
            ("lab::targets::recursive", &CALLS.recursive),
            ("lab::targets::outer", &CALLS.outer),
            ("lab::targets::inner", &CALLS.inner),
            ("rust_twice", &CALLS.twice),
        ];
        let before = counters.map(|(_, counter)| counter.load(Ordering::Relaxed));
        for seed in 0..100 {
            black_box(targets::workload(seed));
        }
        set("function_profile_enabled", "0")?;
        let profile = get("trace_stat/function0")?;
        reset()?;
        for ((path, counter), before) in counters.into_iter().zip(before) {
            let calls = counter.load(Ordering::Relaxed) - before;
            let symbol = machine::symbols::find(path).map_err(text)?;
            let site = ftrace::find_site(symbol.address).ok_or("no site")?;
            check!(hits::of(&site) == calls && calls >= 100, "{path}: {} hits, {calls} calls", hits::of(&site));
            check!(profile.contains(path), "{path} is missing in {profile}");
        }
        Ok(())
    }

    /// The graph tracer nests calls, times them, and changes no result.
    fn graph_tracer_nests() {
        reset()?;
        let expected = targets::workload(5);
        set("set_ftrace_filter", "lab::targets::* c_* rust_twice")?;
        set("current_tracer", "function_graph")?;
        let found = targets::workload(5);
        set("current_tracer", "nop")?;
        set("current_tracer", "function_graph")?;
        let trace = get("trace")?;
        reset()?;
        check!(found == expected, "{found:#x} instead of {expected:#x}");
        check!(graph::depth() == 0, "{} calls are still hooked", graph::depth());
        let events: Vec<&str> = events(&trace).iter().filter_map(|line| line.split_once("|  ")).map(|(_, call)| call).collect();
        let nested = ["lab::targets::workload() {", "  lab::targets::leaf();", "    lab::targets::recursive() {", "  }", "}"];
        for call in nested {
            check!(events.contains(&call), "`{call}` is not in {trace}");
        }
        let (open, close) = (events.iter().filter(|call| call.ends_with('{')).count(), events.iter().filter(|call| call.ends_with('}')).count());
        check!(open == close && open > 3, "{open} calls begin, {close} end: {trace}");
        check!(trace.contains(" us  |  "), "{trace}");
        Ok(())
    }

    /// With every function's return hooked, a stack walk shows the real callers.
    fn hooked_stacks_are_whole() {
        let mut plain = [Step { code: 0, what: What::Call }; 12];
        let mut hooked = plain;
        let names = |steps: &[Step]| -> Vec<String> {
            steps.iter().map(|step| {
                let name = format!("{}", Place(step.place()));
                name.split('+').next().unwrap_or_default().into()
            }).collect()
        };
        reset()?;
        let count = looks_around(3, &mut plain);
        set("current_tracer", "function_graph")?;
        let hooked_count = looks_around(3, &mut hooked);
        reset()?;
        let (plain, hooked) = (&plain[..count], &hooked[..hooked_count]);
        check!(hooked.iter().filter(|step| step.what == What::Hooked).count() >= 4, "too few returns are hooked: {hooked:x?}");
        check!(names(plain) == names(hooked), "{:#?} instead of {:#?}", names(hooked), names(plain));
        Ok(())
    }

    /// Tracing everything with the graph tracer, the ring overflowing, leaves
    /// results and stacks in order.
    fn everything_can_be_graphed() {
        reset()?;
        let expected: Vec<u64> = (0..50).map(targets::workload).collect();
        set("current_tracer", "function_graph")?;
        let found: Vec<u64> = (0..50).map(targets::workload).collect();
        reset()?;
        check!(found == expected, "the workload's results changed");
        check!(graph::depth() == 0, "{} calls are still hooked", graph::depth());
        Ok(())
    }

    /// Recursion that is deeper than the return stack goes unhooked, and comes
    /// home.
    fn deep_recursion_comes_home() {
        reset()?;
        let depth = 2 * thread::DEPTH as u64;
        let missed = graph::missed();
        set("set_ftrace_filter", "lab::targets::recursive")?;
        set("current_tracer", "function_graph")?;
        let found = targets::recursive(depth);
        reset()?;
        let expected = depth * (depth + 1) / 2 + 1;
        check!(found == expected, "{found} instead of {expected}");
        check!(graph::missed() - missed == depth + 1 - thread::DEPTH as u64, "{} missed", graph::missed() - missed);
        Ok(())
    }

    /// What a control does not take is refused with what it does, and changes
    /// nothing.
    fn controls_refuse_nonsense() {
        reset()?;
        let tracer = tracing::write("current_tracer", "magic");
        check!(matches!(tracer, Err(ControlError::BadValue { .. })), "{tracer:?}");
        let name = tracing::write("no_such_control", "1");
        check!(matches!(name, Err(ControlError::Unknown(_))), "{name:?}");
        let read_only = tracing::write("available_tracers", "nop");
        check!(matches!(read_only, Err(ControlError::NotPossible(_))), "{read_only:?}");
        set("current_tracer", "function")?;
        let nothing = tracing::write("set_ftrace_filter", "no_such_function");
        let (filter, tracer) = (get("set_ftrace_filter")?, get("current_tracer")?);
        reset()?;
        check!(nothing.is_err(), "a filter that admits nothing was taken");
        check!(filter.starts_with("####") && tracer == "function\n", "left behind: {filter} {tracer}");
        Ok(())
    }

    /// `tracing_on` and `enabled_functions` show what is attached.
    fn controls_show_the_state() {
        reset()?;
        set("set_ftrace_filter", "c_leaf c_tail")?;
        set("current_tracer", "function")?;
        let enabled = get("enabled_functions")?;
        set("tracing_on", "0")?;
        let paused = get("enabled_functions")?;
        reset()?;
        check!(enabled.lines().count() == 2 && enabled.contains("c_leaf (1) function"), "{enabled}");
        check!(paused.is_empty(), "{paused}");
        let all = get("available_filter_functions")?.lines().count();
        check!(all == ftrace::sites().len(), "{all} names for {} sites", ftrace::sites().len());
        Ok(())
    }

    /// Records of a module that has gone say so, and are not named after what is loaded in
    /// its place. Nor do its counts become another's.
    fn modules_that_have_gone() {
        reset()?;
        enable("two_percent")?;
        set("set_ftrace_filter", "two_percent::*")?;
        set("current_tracer", "function")?;
        hits_on()?;
        black_box(bank::balance(0, 2));
        set("current_tracer", "nop")?;
        set("function_profile_enabled", "0")?;
        let range = loader::find("two_percent").map(|module| module.range());
        livepatch::unload("two_percent").map_err(text)?;
        let loaded = loader::find_file("three_percent")?.load().map_err(text)?;
        let is_there = range == Some(loaded.range());
        drop(loaded);
        // Of this one's, nothing is said that is not so.
        let fresh = get("trace")?;
        let profile = get("trace_stat/function0")?;
        loader::unload("three_percent").map_err(text)?;
        reset()?;
        check!(is_there, "the other module lies somewhere else, so this shows nothing");
        check!(!fresh.contains("three_percent"), "{fresh}");
        check!(events(&fresh).iter().filter(|line| line.contains("two_percent+0x")).count() >= 2, "{fresh}");
        check!(fresh.contains(" (gone) <-"), "{fresh}");
        check!(!profile.contains("percent"), "{profile}");
        Ok(())
    }

    /// More modules have gone than are remembered by name: then an address is shown as it
    /// is, and not as what is there now.
    fn modules_that_are_forgotten() {
        let three = || loader::find_file("three_percent")?.load().map_err(text);
        let unload = || loader::unload("three_percent").map_err(text);
        reset()?;
        enable("two_percent")?;
        set("set_ftrace_filter", "two_percent::*")?;
        set("current_tracer", "function")?;
        black_box(bank::balance(0, 2));
        set("current_tracer", "nop")?;
        livepatch::unload("two_percent").map_err(text)?;
        for _ in 0..16 {
            three()?;
            unload()?;
        }
        three()?;
        let trace = get("trace")?;
        unload()?;
        reset()?;
        check!(!trace.contains("percent"), "{trace}");
        check!(events(&trace).iter().filter(|line| line.contains(": 0x") && line.contains(" (gone) <-")).count() >= 2, "{trace}");
        Ok(())
    }

    /// What is attached can be turned off when the functions that the filter names have
    /// gone.
    fn off_when_the_functions_have_gone() {
        reset()?;
        for counts in [false, true] {
            enable("two_percent")?;
            set("set_ftrace_filter", "two_percent::*")?;
            if counts {
                hits_on()?;
            } else {
                set("current_tracer", "function")?;
            }
            black_box(bank::balance(0, 2));
            livepatch::unload("two_percent").map_err(text)?;
            // As `trace` does while it shows what was recorded.
            set("tracing_on", "0")?;
            set("tracing_on", "1")?;
            // Nothing can be added, and nothing has changed then.
            let found = set(if counts { "current_tracer" } else { "function_profile_enabled" }, if counts { "function" } else { "1" });
            check!(found.is_err(), "a tracer of nothing was attached");
            set("current_tracer", "nop")?;
            set("function_profile_enabled", "0")?;
            check!(get("enabled_functions")?.is_empty(), "{}", get("enabled_functions")?);
            reset()?;
        }
        Ok(())
    }
}
