//! Costs of one call: at rest and traced.

use super::{EMPTY, Problem, Rows, added_by, call_cost, empty, instructions, text};
use crate::instruments::calls::{self, AtOnce};
use alloc::{format, string::String};
use ftrace::{Filter, Flags, Ops};
use machine::arch;

static SECOND: Ops = Ops::new("second", empty, Flags::RECURSION_SAFE);
static THIRD: Ops = Ops::new("third", empty, Flags::RECURSION_SAFE);
static GUARDED: Ops = Ops::new("guarded", empty, Flags::empty());
pub(super) static REGISTERS: Ops = Ops::new(
    "registers",
    empty,
    Flags::RECURSION_SAFE.union(Flags::ALL_REGISTERS),
);

/// Costs of one call.
pub(super) fn measure(rows: &mut Rows) -> Result<(), Problem> {
    let plain = call_cost(AtOnce::Plain)?;
    let rest = call_cost(AtOnce::Site)?;
    rows.add("rest", "a site at rest", rest - plain, Some(2));
    let one = added_by(&[&EMPTY], rest)?;
    rows.add("traced", "one ops, empty callback", one, Some(45));
    rows.add(
        "traced_guarded",
        "the same, with the recursion guard",
        added_by(&[&GUARDED], rest)?,
        None,
    );
    rows.add(
        "traced_regs",
        "the same, with all registers",
        added_by(&[&REGISTERS], rest)?,
        Some(90),
    );
    let two = added_by(&[&EMPTY, &SECOND], rest)?;
    let three = added_by(&[&EMPTY, &SECOND, &THIRD], rest)?;
    rows.add("traced_second", "a second ops on the site", two - one, None);
    // The growth is the same for each: that is what the limit asks for.
    rows.add(
        "traced_third",
        "a third ops on the site",
        three - two,
        Some(two - one),
    );
    ftrace::register(
        &EMPTY,
        &Filter::only(&["bench_site"]).but_not("bench_site*"),
    )
    .map_or(Ok(0), |_| {
        Err(String::from("the filter let `bench_site` through"))
    })?;
    ftrace::register(&EMPTY, &Filter::only(&["c_leaf"])).map_err(text)?;
    let other = call_cost(AtOnce::Site);
    ftrace::unregister(&EMPTY).map_err(text)?;
    rows.add(
        "traced_elsewhere",
        "an ops on another site",
        other? - rest,
        Some(0),
    );
    tracing::hits::reset().map_err(|error| format!("{error}"))?;
    let hits = added_by(&[&tracing::hits::OPS], rest)?;
    rows.add("tracer_hits", "counting hits", hits, None);
    // The ring takes a few thousand records: fewer calls, and room for them.
    tracing::write("trace", "").map_err(|error| format!("{error}"))?;
    rows.add(
        "tracer_function",
        "writing a record",
        tracer_cost(&tracing::function::OPS, rest)?,
        Some(120),
    );
    rows.add(
        "tracer_graph",
        "writing two, and the return hook",
        tracer_cost(&tracing::graph::OPS, rest)?,
        None,
    );
    Ok(())
}

/// Like [`added_by`], for tracers that write records: with a ring that is not
/// full, which takes a number of calls that is not whole in ticks.
fn tracer_cost(ops: &'static Ops, rest: u64) -> Result<u64, Problem> {
    const FEW: u64 = 1000;
    let filter = Filter::only(&["bench_site"]);
    ftrace::register(ops, &filter).map_err(text)?;
    let off = arch::interrupts_off();
    let ticks = calls::call_repeatedly(AtOnce::Site, FEW);
    drop(off);
    ftrace::unregister(ops).map_err(text)?;
    tracing::write("trace", "").map_err(|error| format!("{error}"))?;
    let each = (instructions(ticks) + FEW / 2) / FEW;
    Ok(each - calls::LOOP_INSTRUCTIONS - rest)
}
