//! The cost meter: how many instructions things take.
//!
//! Under QEMU's `-icount shift=0` an instruction takes a nanosecond, so the
//! timebase counts instructions, the same number in every run. On any other
//! machine the counts don't come out whole, and the meter says so.

mod calls;
mod latency;
mod loading;
mod patched;
mod switching;
mod threads;
mod transition;

use crate::{
    arch,
    console::{self, Painted, Tone},
    ftrace::{self, Filter, Flags, FtraceError, Ops},
    platform,
};
use alloc::{format, string::String, vec::Vec};
use layout::CallFrame;
use log::LevelFilter;
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

/// Measures something, a row or some.
type Measure = fn(&mut Vec<Row>) -> Result<(), Problem>;

const PARTS: [Measure; 7] = [
    calls::measure,
    switching::measure,
    loading::measure,
    threads::measure,
    patched::measure,
    transition::measure,
    latency::measure,
];

/// Why something could not be measured.
type Problem = String;

static EMPTY: Ops = Ops::new("empty", empty, Flags::RECURSION_SAFE);

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
    let ticks = unsafe { arch::calls::call_repeatedly(function, CALLS) };
    arch::interrupts_restore(before);
    let all = instructions(ticks);
    // What is around the loop takes less than a call in all.
    let each = all / CALLS;
    if all - each * CALLS > 50 {
        return Err(format!(
            "{all} instructions for {CALLS} calls is not a whole number a call: run this with `make bench`"
        ));
    }
    Ok(each - arch::calls::LOOP_INSTRUCTIONS)
}

/// What it adds to a call of the bench site that these ops are attached to it.
fn added_by(all: &[&'static Ops], rest: u64) -> Result<u64, Problem> {
    let (name, site) = ("bench_site", arch::calls::bench_site_address());
    let filter = Filter::only(&[name]);
    for ops in all {
        ftrace::register(ops, &filter).map_err(text)?;
    }
    let cost = call_cost(site);
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

/// Whether time counts instructions here, so that something can be measured.
#[must_use]
pub fn is_possible() -> bool {
    let cost = || call_cost(arch::calls::bench_site_address());
    matches!((cost(), cost()), (Ok(one), Ok(other)) if one == other)
}

/// Measures, prints a table, and reports every row.
pub fn run() -> Verdict {
    run_while(&|| true)
}

/// The same for as long as it is to go on, which it asks between two measurements.
pub fn run_while(goes_on: &dyn Fn() -> bool) -> Verdict {
    let mut rows = Vec::new();
    // Transitions are not to be told of.
    let level = log::max_level();
    log::set_max_level(level.min(LevelFilter::Warn));
    let result = PARTS.iter().try_for_each(|measure| {
        if !goes_on() {
            return Err("interrupted".into());
        }
        measure(&mut rows)
    });
    log::set_max_level(level);
    if let Err(problem) = result {
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
