//! Live patching beside tracing (test-ftrace.sh).

use super::{
    OLD, disable, enable, file, is, load, refused, remove, returns, text, undisturbed, unload,
};
use crate::{
    check,
    tests::{
        Result,
        common::{join, spawn, traced as traced_by, until},
        goes_on,
    },
};
use alloc::{string::String, sync::Arc};
use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use ftrace::{Flags, Ops};
use lab::targets::live;
use layout::CallFrame;
use livepatch as klp;
use livepatch::{Options, Status};
use machine::text as code;
use ppc64::insn;

const ONE: &str = "lab::targets::live::one";

/// Where calls of the function go from its site: nowhere but into it, if nothing is
/// attached.
fn way() -> core::result::Result<Option<u64>, String> {
    let site = ftrace::find_site(live::one as *const () as u64).ok_or("no site")?;
    let word = code::read(site.address);
    Ok(insn::branch_target(site.address, word).map(|branch| branch.target))
}

/// Checks that calls take the short way.
fn is_settled() -> Result {
    let stub = klp::way_of(live::one as *const () as u64).map(|(start, _)| start);
    let way = way()?;
    check!(stub.is_some(), "there is no settled stub");
    check!(
        way == stub,
        "calls go to {way:x?} and not to the stub at {stub:x?}"
    );
    Ok(())
}

/// Starts a tracer on the function.
fn trace_with(tracer: &str) -> Result {
    for (name, value) in [
        ("trace", ""),
        ("set_ftrace_filter", ONE),
        ("current_tracer", tracer),
    ] {
        tracing::write(name, value).map_err(text)?;
    }
    Ok(())
}

/// Ends it, and checks how many lines of what it has recorded name the function.
fn traced(expected: usize) -> Result {
    tracing::write("current_tracer", "nop").map_err(text)?;
    let mut trace = String::new();
    tracing::read("trace", &mut trace).map_err(text)?;
    for (name, value) in [("trace", ""), ("set_ftrace_filter", "")] {
        tracing::write(name, value).map_err(text)?;
    }
    let lines = trace.lines().filter(|line| !line.starts_with('#'));
    let found = lines.filter(|line| line.contains(ONE)).count();
    println!("{found} calls in the trace");
    check!(
        found == expected,
        "{found} instead of {expected} calls in the trace:\n{trace}"
    );
    Ok(())
}

/// Counts calls, and calls the function itself: what that returns is kept.
static GUARDED: Ops = Ops::new("guarded", look, Flags::empty());
static LOOKS: AtomicU64 = AtomicU64::new(0);
static INNER: AtomicU64 = AtomicU64::new(0);

extern "C" fn look(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    LOOKS.fetch_add(1, Ordering::Relaxed);
    INNER.store(live::one(black_box(0)), Ordering::Relaxed);
}

/// Calls the function `returns` makes: one directly, and one by its address.
const CALLS: usize = 2;

/// Keeps calls waiting on their way through the trampoline.
static HOLDS: Ops = Ops::new("holds", holds, Flags::empty());
static IS_HELD: AtomicBool = AtomicBool::new(false);
static LET_GO: AtomicBool = AtomicBool::new(false);
static HAS_LEFT: AtomicBool = AtomicBool::new(false);

extern "C" fn holds(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    IS_HELD.store(true, Ordering::Relaxed);
    while !LET_GO.load(Ordering::Relaxed) {
        // Asleep, so that its thread switches.
        thread::sleep(Duration::from_millis(1));
    }
    HAS_LEFT.store(true, Ordering::Relaxed);
}

crate::selftest! {
    /// A transition that takes the last patch from a function ends when no call is on its
    /// way through the trampoline any more: the patch's ops is still in front of it.
    fn calls_on_their_way_are_waited_for() {
        undisturbed(|| {
            for flag in [&IS_HELD, &LET_GO, &HAS_LEFT] {
                flag.store(false, Ordering::Relaxed);
            }
            let returned = Arc::new(AtomicU64::new(0));
            let its_own = returned.clone();
            let has_left = traced_by(&HOLDS, &[ONE], || {
                enable("test_klp_livepatch")?;
                let caller = spawn("on its way", move || {
                    its_own.store(live::one(0), Ordering::Relaxed);
                })?;
                until("its call", || IS_HELD.load(Ordering::Relaxed))?;
                // Lets it go only when the transition has had time to end too early.
                let helper = spawn("helper", || {
                    thread::sleep(Duration::from_millis(50));
                    LET_GO.store(true, Ordering::Relaxed);
                })?;
                let disabled = disable("test_klp_livepatch");
                let has_left = HAS_LEFT.load(Ordering::Relaxed);
                join(helper)?;
                join(caller)?;
                disabled.map(|()| has_left)
            })??;
            check!(has_left, "it ended while a call was on its way");
            let returned = returned.load(Ordering::Relaxed);
            check!(returned == 1, "that call returned {returned} instead of 1");
            unload("test_klp_livepatch")?;
            returns(OLD)
        })
    }

    /// While tracing is off, no patch can be enabled; while one is, tracing can't be
    /// turned off.
    fn livepatch_and_ftrace_enabled() {
        undisturbed(|| {
            ftrace::set_enabled(false).map_err(text)?;
            let result = klp::load(file("test_klp_livepatch")?, Options::default());
            let on = ftrace::set_enabled(true);
            refused("the patch", result, "ops `livepatch` needs tracing, which is turned off")?;
            on.map_err(text)?;
            check!(loader::find("test_klp_livepatch").is_none(), "its module is still loaded");
            returns(OLD)?;

            enable("test_klp_livepatch")?;
            let off = ftrace::set_enabled(false);
            refused("turning off", off, "tracing can't be turned off: ops `livepatch` depends on it")?;
            check!(ftrace::is_enabled(), "it is off all the same");
            returns([11, 12, 3])?;
            remove("test_klp_livepatch")?;
            ftrace::set_enabled(false).map_err(text)?;
            ftrace::set_enabled(true).map_err(text)
        })
    }

    /// A module comes while tracing is off, and then on, under a patch that is
    /// enabled and has nothing to patch yet.
    fn module_coming_while_off() {
        undisturbed(|| {
            enable("test_klp_mod_patch")?;
            ftrace::set_enabled(false).map_err(text)?;
            let result = loader::load(file("test_klp_mod_target")?);
            let on = ftrace::set_enabled(true);
            refused("the module", result, "module `test_klp_mod_target` is not wanted: ops `livepatch` needs tracing, which is turned off")?;
            on.map_err(text)?;
            is("test_klp_mod_patch", Some(Status::Enabled))?;
            drop(load("test_klp_mod_target")?);
            unload("test_klp_mod_target")?;
            remove("test_klp_mod_patch")
        })
    }

    /// The tracer sees calls of a patched function, which stays patched; without the
    /// tracer they take the short way again.
    fn trace_livepatched_function() {
        undisturbed(|| {
            enable("test_klp_livepatch")?;
            is_settled()?;
            trace_with("function")?;
            check!(is_settled().is_err(), "the tracer is not on the way");
            returns([11, 12, 3])?;
            traced(CALLS)?;
            is_settled()?;
            returns([11, 12, 3])?;
            remove("test_klp_livepatch")?;
            check!(way()?.is_none(), "calls go somewhere: {:x?}", way()?);
            Ok(())
        })
    }

    /// A function that is being traced is patched, and goes on being traced; also
    /// when it is patched no more.
    fn livepatch_traced_function() {
        undisturbed(|| {
            trace_with("function")?;
            returns(OLD)?;
            enable("test_klp_livepatch")?;
            returns([11, 12, 3])?;
            traced(2 * CALLS)?;
            is_settled()?;
            trace_with("function")?;
            remove("test_klp_livepatch")?;
            returns(OLD)?;
            traced(CALLS)?;
            check!(way()?.is_none(), "calls go somewhere: {:x?}", way()?);
            Ok(())
        })
    }

    /// The graph tracer hooks the returns of replacements.
    fn graph_tracer_on_a_patched_function() {
        undisturbed(|| {
            enable("test_klp_livepatch")?;
            trace_with("function_graph")?;
            returns([11, 12, 3])?;
            traced(CALLS)?;
            is_settled()?;
            trace_with("function_graph")?;
            remove("test_klp_livepatch")?;
            returns(OLD)?;
            enable("test_klp_livepatch")?;
            returns([11, 12, 3])?;
            traced(2 * CALLS)?;
            is_settled()?;
            remove("test_klp_livepatch")
        })
    }

    /// Beside an ops with a guard against recursion: what its callback calls is not
    /// traced again, and patched all the same.
    fn guarded_ops_beside_it() {
        undisturbed(|| {
            for guard_first in [false, true] {
                if !guard_first {
                    enable("test_klp_livepatch")?;
                }
                traced_by(&GUARDED, &[ONE], || {
                    if guard_first {
                        enable("test_klp_livepatch")?;
                    }
                    returns([11, 12, 3])
                })??;
                let (looks, inner) = (LOOKS.swap(0, Ordering::Relaxed), INNER.load(Ordering::Relaxed));
                check!(looks == CALLS as u64, "{looks} calls were seen");
                check!(inner == 11, "the callback's own call returned {inner}");
                is_settled()?;
                remove("test_klp_livepatch")?;
            }
            Ok(())
        })
    }

    /// Tracers come and go while a transition waits: each thread stays on its side.
    fn tracers_in_a_transition() {
        undisturbed(|| {
            enable("test_klp_livepatch")?;
            let staying = super::Staying::in_target("old", 0, live::ASLEEP, 0)?;
            super::start("test_klp_stays")?;
            super::held_by("old", "lab::targets::live::stays is on its stack")?;
            for tracer in ["function", "function_graph"] {
                goes_on();
                trace_with(tracer)?;
                tracing::write("set_ftrace_filter", "lab::targets::live::*").map_err(text)?;
                returns([11, 12, 3])?;
                traced(CALLS)?;
                is_settled()?;
            }
            super::held_by("old", "lab::targets::live::stays is on its stack")?;
            staying.returns(1)?;
            super::ends_as("test_klp_stays", Some(Status::Enabled))?;
            remove("test_klp_stays")?;
            remove("test_klp_livepatch")
        })
    }
}
