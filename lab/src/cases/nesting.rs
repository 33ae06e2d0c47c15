//! Calls inside calls: of C by others, by C of others, and what else hooks on to
//! them.

use super::{
    super::{
        fixtures::{self, Finding, Outcome, Way, both_ways, check_way, ensure, pass},
        functions,
        gate::deadline,
        watched::{Call, Seen},
    },
    toc::{MORE, is_register},
};
use crate::instruments::sanitiser::{What, kernel_toc};
use alloc::string::ToString;
use ftrace::{Filter, Ops};
use machine::{arch, sync::IrqLock, time};

/// r2, and everything else but the reserved word.
fn is_whole(seen: &Seen) -> Result<(), Finding> {
    seen.kept_toc()?;
    seen.kept(is_register)
}

pub fn tail_called() -> Outcome {
    let call = Call::new(functions::lab_tail as *const () as u64, &[31]);
    call.run()?.returned(42)?;
    both_ways("cases", |way| {
        check_way(functions::lab_leaf as *const () as u64, way)?;
        let seen = call.run()?;
        seen.returned(42 + MORE)?;
        is_whole(&seen)
    })
}

pub fn calls_kernel() -> Outcome {
    let function = functions::calls_kernel as *const () as u64;
    both_ways("cases", |way| {
        check_way(function, way)?;
        Call::new(function, &[21]).run()?.returned(42 + MORE)
    })
}

pub fn calls_patched() -> Outcome {
    let function = functions::calls_patched as *const () as u64;
    both_ways("cases", |way| {
        check_way(function, way)?;
        // Itself, `second` and `lab_leaf`: all three are replaced.
        Call::new(function, &[5]).run()?.returned(13 + 3 * MORE)
    })
}

pub fn tail_call_out() -> Outcome {
    leaves_by_tail_call(kernel_toc)
}

/// A's TOC is any but the kernel's.
pub fn tail_call_foreign() -> Outcome {
    leaves_by_tail_call(|| {
        loader::find("cases-tail").map_or(0, |module| module.range().start + 0x8000)
    })
}

/// The caller may be one through a pointer, which takes its r2 back from 24(r1) after
/// another call: that word must be as it was as well.
fn leaves_by_tail_call(toc: fn() -> u64) -> Outcome {
    let function = functions::tail_out as *const () as u64;
    both_ways("cases-tail", |way| {
        check_way(function, way)?;
        let seen = Call::new(function, &[21]).with_toc(toc()).run()?;
        seen.returned(42)?;
        is_whole(&seen)?;
        seen.kept(|what| what == What::TocSave)
    })
}

/// A call to be made by the next tick, and what came of it.
static IN_INTERRUPT: IrqLock<(Option<Call>, Option<Seen>)> = IrqLock::new((None, None));

fn on_tick() {
    let call = IN_INTERRUPT.lock().0.take();
    if let Some(call) = call {
        let seen = call.make();
        IN_INTERRUPT.lock().1 = Some(seen);
    }
}

pub fn interrupt() -> Outcome {
    let function = functions::counted as *const () as u64;
    let result = both_ways("cases", |way| {
        check_way(function, way)?;
        // Waits without giving the CPU away, so that it is this thread that is
        // interrupted, which has switched.
        *IN_INTERRUPT.lock() = (Some(Call::new(function, &[41])), None);
        time::call_on_tick(on_tick);
        let until = deadline();
        let seen = loop {
            if let Some(seen) = IN_INTERRUPT.lock().1.take() {
                break Some(seen);
            }
            if arch::timebase() > until {
                break None;
            }
            arch::wait();
        };
        time::stop_calling();
        let seen = seen.ok_or_else(|| Finding::Failed("no tick has made the call".into()))?;
        if way == Way::Settled || seen.results[0] != 42 {
            seen.returned(42 + MORE)?;
        }
        is_whole(&seen)
    });
    *IN_INTERRUPT.lock() = (None, None);
    result
}

pub fn tracer_function() -> Outcome {
    tracer(&tracing::function::OPS)
}

pub fn tracer_graph() -> Outcome {
    tracer(&tracing::graph::OPS)
}

/// B and C.
const OLD: &str = "lab::functions::counted";
const NEW: &str = "cases::counted";

fn attach(ops: &'static Ops, traced: &[&str]) -> Result<(), Finding> {
    let count = ftrace::register(ops, &Filter::only(traced)).map_err(|error| error.to_string())?;
    ensure!(count == traced.len(), "{traced:?} names {count} functions");
    Ok(())
}

fn detach(ops: &'static Ops) -> Result<(), Finding> {
    Ok(ftrace::unregister(ops).map_err(|error| error.to_string())?)
}

/// Calls the new function with all under watch, and sees that the tracer has noticed.
fn traced_call() -> Result<(), Finding> {
    let before = tracing::written() + tracing::dropped();
    let seen = Call::new(functions::counted as *const () as u64, &[41]).run()?;
    seen.returned(42 + MORE)?;
    is_whole(&seen)?;
    let after = tracing::written() + tracing::dropped();
    ensure!(after > before, "the tracer has recorded nothing");
    Ok(())
}

/// Attaches a tracer for one call.
fn call_with(ops: &'static Ops, traced: &[&str]) -> Result<(), Finding> {
    attach(ops, traced)?;
    let result = traced_call();
    detach(ops)?;
    result
}

/// Attached to B before the patch, and then after it: the order on the site is that of
/// attachment.
fn tracer(ops: &'static Ops) -> Outcome {
    attach(ops, &[OLD])?;
    let result = both_ways("cases", |_| traced_call());
    detach(ops)?;
    result?;
    let result = both_ways("cases", |_| call_with(ops, &[OLD]));
    let _ = tracing::write("trace", "");
    result?;
    // A tracer that is gone leaves the short way.
    fixtures::settled("cases", || {
        attach(ops, &[OLD])?;
        detach(ops)?;
        check_way(functions::counted as *const () as u64, Way::Settled)?;
        pass()
    })
}

/// C's return is hooked when the hand-off has been made, with and without B's.
pub fn tracer_graph_new() -> Outcome {
    let result = both_ways("cases", |_| {
        call_with(&tracing::graph::OPS, &[NEW])?;
        call_with(&tracing::graph::OPS, &[OLD, NEW])
    });
    let _ = tracing::write("trace", "");
    result
}
