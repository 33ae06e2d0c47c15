//! The cost meter: how many instructions things take.
//!
//! Under QEMU's `-icount shift=0` an instruction takes a nanosecond, so the
//! timebase counts instructions, the same number in every run. On any other
//! machine the counts don't come out whole, and the meter says so.

use crate::{
    arch::{self, calls},
    console::{self, Painted, Tone},
    ftrace::{self, Filter, Flags, FtraceError, Ops},
    module, platform, tracing,
};
use alloc::{format, string::String, vec::Vec};
use layout::CallFrame;
use report::{Record, Verdict};

/// Calls of one measurement. With it, whole instruction counts give whole
/// numbers of timebase ticks at 512 MHz.
const CALLS: u64 = 125_000;

/// What was measured.
struct Row {
    name: &'static str,
    about: &'static str,
    unit: &'static str,
    value: u64,
    /// The most that it may be.
    limit: Option<u64>,
}

/// Why something could not be measured.
type Problem = String;

static EMPTY: Ops = Ops {
    name: "empty",
    callback: empty,
    flags: Flags::RECURSION_SAFE,
};
static SECOND: Ops = Ops {
    name: "second",
    callback: empty,
    flags: Flags::RECURSION_SAFE,
};
static THIRD: Ops = Ops {
    name: "third",
    callback: empty,
    flags: Flags::RECURSION_SAFE,
};
static GUARDED: Ops = Ops {
    name: "guarded",
    callback: empty,
    flags: Flags::empty(),
};
static REGISTERS: Ops = Ops {
    name: "registers",
    callback: empty,
    flags: Flags::RECURSION_SAFE.union(Flags::ALL_REGISTERS),
};

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn empty(_: u64, _: u64, _: &'static Ops, _: &mut CallFrame) {}

/// Instructions that `ticks` stand for.
fn instructions(ticks: u64) -> u64 {
    let hz = platform::get().timebase_hz;
    (u128::from(ticks) * 1_000_000_000 / u128::from(hz)) as u64
}

/// Instructions of a call of `function`, the call itself included.
fn call_cost(function: u64) -> Result<u64, Problem> {
    let before = arch::interrupts_off();
    // SAFETY: both bench functions take no arguments and return at once.
    let ticks = unsafe { calls::call_repeatedly(function, CALLS) };
    arch::interrupts_restore(before);
    let all = instructions(ticks);
    // What is around the loop takes less than a call in all.
    let each = all / CALLS;
    if all - each * CALLS > 50 {
        return Err(format!(
            "{all} instructions for {CALLS} calls is not a whole number a call: run this with `make bench`"
        ));
    }
    Ok(each - calls::LOOP_INSTRUCTIONS)
}

/// What it adds to a call of the bench site that these ops are attached to it.
fn added_by(all: &[&'static Ops], rest: u64) -> Result<u64, Problem> {
    let filter = Filter::only(&["bench_site"]);
    for ops in all {
        ftrace::register(ops, &filter).map_err(text)?;
    }
    let cost = call_cost(calls::bench_site_address());
    for ops in all {
        ftrace::unregister(ops).map_err(text)?;
    }
    Ok(cost? - rest)
}

fn text(error: FtraceError) -> String {
    format!("{error}")
}

/// Instructions that `body` takes, interrupts off.
fn cost_of<T>(body: impl FnOnce() -> T) -> (u64, T) {
    let before = arch::interrupts_off();
    let start = arch::timebase();
    let value = body();
    let ticks = arch::timebase() - start;
    arch::interrupts_restore(before);
    (instructions(ticks), value)
}

/// Costs of one call.
fn calls(rows: &mut Vec<Row>) -> Result<(), Problem> {
    let mut row = |name, about, value, limit| {
        rows.push(Row {
            name,
            about,
            unit: "instructions",
            value,
            limit,
        });
    };
    let plain = call_cost(calls::bench_plain_address())?;
    let rest = call_cost(calls::bench_site_address())?;
    row("rest", "a site at rest", rest - plain, Some(2));
    let one = added_by(&[&EMPTY], rest)?;
    row("traced", "one ops, empty callback", one, Some(45));
    row(
        "traced_guarded",
        "the same, with the recursion guard",
        added_by(&[&GUARDED], rest)?,
        None,
    );
    row(
        "traced_regs",
        "the same, with all registers",
        added_by(&[&REGISTERS], rest)?,
        Some(90),
    );
    let two = added_by(&[&EMPTY, &SECOND], rest)?;
    let three = added_by(&[&EMPTY, &SECOND, &THIRD], rest)?;
    row("traced_second", "a second ops on the site", two - one, None);
    // The growth is the same for each: that is what the limit asks for.
    row(
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
    let other = call_cost(calls::bench_site_address());
    ftrace::unregister(&EMPTY).map_err(text)?;
    row(
        "traced_elsewhere",
        "an ops on another site",
        other? - rest,
        Some(0),
    );
    tracing::hits::reset().map_err(|error| format!("{error}"))?;
    let hits = added_by(&[&tracing::hits::OPS], rest)?;
    row("tracer_hits", "counting hits", hits, None);
    // The ring takes a few thousand records: fewer calls, and room for them.
    tracing::write("trace", "").map_err(|error| format!("{error}"))?;
    row(
        "tracer_function",
        "writing a record",
        tracer_cost(&tracing::function::OPS, rest)?,
        Some(120),
    );
    row(
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
    let before = arch::interrupts_off();
    // SAFETY: the bench site takes no arguments and returns at once.
    let ticks = unsafe { calls::call_repeatedly(calls::bench_site_address(), FEW) };
    arch::interrupts_restore(before);
    ftrace::unregister(ops).map_err(text)?;
    tracing::write("trace", "").map_err(|error| format!("{error}"))?;
    let each = (instructions(ticks) + FEW / 2) / FEW;
    Ok(each - calls::LOOP_INSTRUCTIONS - rest)
}

/// Costs of switching many sites.
fn switching(rows: &mut Vec<Row>) -> Result<(), Problem> {
    let all = ftrace::sites().len() as u64;
    // The first time makes tables that stay.
    ftrace::register(&EMPTY, &Filter::all()).map_err(text)?;
    ftrace::unregister(&EMPTY).map_err(text)?;
    let (on, count) = cost_of(|| ftrace::register(&EMPTY, &Filter::all()));
    count.map_err(text)?;
    let (off, result) = cost_of(|| ftrace::unregister(&EMPTY));
    result.map_err(text)?;
    let (all_cost, all_count) = switch_cost(&Filter::all())?;
    let (some_cost, some_count) = switch_cost(&Filter::only(&["*core*"]))?;
    let (each, of_some) = (all_cost / all_count, some_cost / some_count);
    let mut row = |name, about, unit, value, limit| {
        rows.push(Row {
            name,
            about,
            unit,
            value,
            limit,
        });
    };
    row("sites", "sites that can be traced", "sites", all, None);
    row(
        "switch_on",
        "attaching an ops everywhere, a site",
        "instructions",
        on / all,
        Some(200),
    );
    row(
        "switch_off",
        "detaching it, a site",
        "instructions",
        off / all,
        Some(200),
    );
    row(
        "switch_some",
        "ftrace_enabled for some of them, a site",
        "instructions",
        of_some,
        Some(200),
    );
    // Linear: a site costs no more among many than among few.
    row(
        "switch_all",
        "ftrace_enabled for all of them, a site",
        "instructions",
        each,
        Some(of_some),
    );
    Ok(())
}

/// Turns tracing off and on again with an ops on the chosen sites: what turning
/// it on takes, and how many sites they are.
fn switch_cost(filter: &Filter) -> Result<(u64, u64), Problem> {
    let count = ftrace::register(&EMPTY, filter).map_err(text)?;
    ftrace::set_enabled(false).map_err(text)?;
    let (cost, result) = cost_of(|| ftrace::set_enabled(true));
    result.map_err(text)?;
    ftrace::unregister(&EMPTY).map_err(text)?;
    Ok((cost, count as u64))
}

/// Costs of loading modules: the demonstration's, and what a relocation adds.
fn loading(rows: &mut Vec<Row>) -> Result<(), Problem> {
    let load = |name: &str| -> Result<u64, Problem> {
        let files = module::files();
        let file = files.iter().find(|file| file.name == name);
        let file = file.ok_or_else(|| format!("the initrd has no module `{name}`"))?;
        let (cost, module) = cost_of(|| module::load(file.bytes).map(drop));
        module.map_err(|error| format!("{name}: {error}"))?;
        module::unload(name).map_err(|error| format!("{name}: {error}"))?;
        Ok(cost)
    };
    // The first time makes tables that stay.
    load("demo")?;
    let demo = load("demo")?;
    let [ten, hundred, thousand, many] = [
        load("relocations10")?,
        load("relocations100")?,
        load("relocations1000")?,
        load("relocations10000")?,
    ];
    let mut row = |name, about, value, limit| {
        rows.push(Row {
            name,
            about,
            unit: "instructions",
            value,
            limit,
        });
    };
    row(
        "load_demo",
        "loading the largest demo module",
        demo,
        Some(1_000_000),
    );
    row("load_10", "loading a module with 10 relocations", ten, None);
    row("load_100", "with 100", hundred, None);
    row("load_1000", "with 1,000", thousand, None);
    row("load_10000", "with 10,000", many, None);
    // Linear: one costs as much among ten thousand as among a thousand, give or
    // take what the first ones of a size bring along.
    let few = (thousand - hundred) / 900;
    row("load_each_few", "one of 1,000 relocations", few, None);
    row(
        "load_each_many",
        "one of 10,000",
        (many - thousand) / 9000,
        Some(few + few / 20),
    );
    Ok(())
}

/// Measures, prints a table, and reports every row.
pub fn run() -> Verdict {
    let mut rows = Vec::new();
    if let Err(problem) = calls(&mut rows)
        .and_then(|()| switching(&mut rows))
        .and_then(|()| loading(&mut rows))
    {
        println!("bench: {problem}");
        return Verdict::ChecksFailed;
    }
    println!(
        "{}",
        Painted(
            Tone::Heading,
            "instructions, added to an untraced call unless it says otherwise"
        )
    );
    let mut right = true;
    for Row {
        name,
        about,
        unit,
        value,
        limit,
    } in &rows
    {
        let fits = limit.is_none_or(|limit| *value <= limit);
        right &= fits;
        let limit = limit.map_or(String::new(), |limit| format!("at most {limit}"));
        let tone = if fits { Tone::Good } else { Tone::Bad };
        println!(
            "  {name:<17} {about:<40} {value:>6} {unit:<13} {}",
            Painted(tone, limit)
        );
        console::report(&Record::Measure {
            name,
            unit,
            value: *value,
        });
    }
    if right {
        Verdict::Passed
    } else {
        Verdict::ChecksFailed
    }
}
