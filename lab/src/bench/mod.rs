//! The cost meter: how many instructions things take.
//!
//! Under QEMU's `-icount shift=0` an instruction takes a nanosecond, so the
//! timebase counts instructions, the same number in every run. On any other
//! machine the counts don't come out whole, and the meter says so.

mod calls;
pub mod command;
mod latency;
mod loading;
mod patched;
mod switching;
mod threads;
pub mod throughput;
mod transition;
mod variants;

pub use patched::Busy;

use crate::instruments::{self, calls::AtOnce};
use alloc::{format, string::String, vec::Vec};
use ftrace::{Filter, Flags, FtraceError, Ops};
use layout::CallFrame;
use livepatch::variants::{self as registry, ChooseError, VARIANTS, Variant};
use machine::{
    arch,
    console::{self, Painted, Tone},
    cpus, lock_order,
    log::{self, LevelFilter},
    platform, time,
};
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

#[derive(Default)]
struct Rows(Vec<Row>);

impl Rows {
    /// Something that takes so many instructions, and the most that it may.
    fn add(&mut self, name: &'static str, about: &'static str, value: u64, limit: Option<u64>) {
        self.count(name, about, "instructions", value);
        if let Some(row) = self.0.last_mut() {
            row.limit = limit;
        }
    }

    /// Something else that there is so much of.
    fn count(&mut self, name: &'static str, about: &'static str, unit: &'static str, value: u64) {
        self.0.push(Row {
            name,
            about,
            unit,
            value,
            limit: None,
        });
    }
}

/// Measures something, a row or some.
type Measure = fn(&mut Rows) -> Result<(), Problem>;

/// What there is to measure, whatever the variant.
const PARTS: [(&str, Measure); 7] = [
    ("calls", calls::measure),
    ("switching", switching::measure),
    ("loading", loading::measure),
    ("threads", threads::measure),
    ("patched", patched::measure),
    ("transition", transition::measure),
    ("latency", latency::measure),
];

/// Why something could not be measured.
type Problem = String;

static EMPTY: Ops = Ops::new("empty", empty, Flags::RECURSION_SAFE);

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn empty(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {}

/// Instructions that `ticks` stand for.
fn instructions(ticks: u64) -> u64 {
    let hz = platform::get().timebase_hz;
    (u128::from(ticks) * 1_000_000_000 / u128::from(hz)) as u64
}

/// Has the other CPUs asleep, for where time counts instructions it counts theirs too. They stay so
/// while this thread has nothing for them to do: it goes on on the first CPU, whose timer wakes it,
/// and theirs are off.
fn others_sleep() {
    if cpus::count() > 1 {
        thread::sleep(time::TICK);
    }
}

/// Instructions of a call of `function`, the call itself included.
fn call_cost(function: AtOnce) -> Result<u64, Problem> {
    others_sleep();
    let off = arch::interrupts_off();
    let ticks = instruments::calls::call_repeatedly(function, CALLS);
    drop(off);
    let all = instructions(ticks);
    let each = (all + CALLS / 2) / CALLS;
    // What is around the loop takes less than a call in all. Where QEMU has several CPUs take turns,
    // each turn adds or loses some hundred.
    let most = if cpus::count() == 1 { 50 } else { CALLS / 100 };
    if all.abs_diff(each * CALLS) > most {
        return Err(format!(
            "{all} instructions for {CALLS} calls is not a whole number a call: run this with `make bench`"
        ));
    }
    Ok(each - instruments::calls::LOOP_INSTRUCTIONS)
}

/// What it adds to a call of the bench site that these ops are attached to it.
fn added_by(all: &[&'static Ops], rest: u64) -> Result<u64, Problem> {
    let filter = Filter::only(&["bench_site"]);
    for ops in all {
        ftrace::register(ops, &filter).map_err(text)?;
    }
    let cost = call_cost(AtOnce::Site);
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
    let off = arch::interrupts_off();
    let start = arch::timebase();
    let value = body();
    let ticks = arch::timebase() - start;
    drop(off);
    (instructions(ticks), value)
}

/// Says how far the meter has come.
struct Progress {
    done: u32,
    of: u32,
}

impl Progress {
    fn done(&mut self, what: &str) {
        self.done += 1;
        console::report(&Record::Progress {
            what,
            done: self.done,
            of: self.of,
        });
    }
}

/// Whether time counts instructions here, so that something can be measured.
#[must_use]
pub fn is_possible() -> bool {
    let cost = || call_cost(AtOnce::Site);
    matches!((cost(), cost()), (Ok(one), Ok(other)) if one == other)
}

/// Whether to begin with the next measurement.
fn go_on(goes_on: &dyn Fn() -> bool) -> Result<(), Problem> {
    if goes_on() {
        Ok(())
    } else {
        Err("interrupted".into())
    }
}

/// Measures, prints tables, and reports every row: all there is, or what the variant
/// with a name costs.
pub fn run(variant: Option<&str>) -> Verdict {
    run_while(variant, &|| true)
}

/// The same for as long as it is to go on, which it asks between two measurements.
pub fn run_while(variant: Option<&str>, goes_on: &dyn Fn() -> bool) -> Verdict {
    let (parts, chosen) = match variant {
        None => (&PARTS[..], VARIANTS),
        Some(name) => match VARIANTS.iter().position(|one| one.name == name) {
            Some(index) => (&PARTS[..0], &VARIANTS[index..=index]),
            None => {
                println!("boot argument `variant={name}`: {}", ChooseError::Unknown);
                return Verdict::BadArgument;
            }
        },
    };
    // Transitions are not to be told of.
    let level = log::max_level();
    log::set_max_level(level.min(LevelFilter::Warn));
    let mut rows = Rows::default();
    let mut progress = Progress {
        done: 0,
        of: (parts.len() + chosen.len()) as u32,
    };
    let result = parts.iter().try_for_each(|(what, measure)| {
        go_on(goes_on)?;
        measure(&mut rows)?;
        progress.done(what);
        Ok(())
    });
    let result = result.and_then(|()| measure_variants(chosen, &mut progress, goes_on));
    log::set_max_level(level);
    let (costs, impossible) = match result {
        Ok(measured) => measured,
        Err(problem) => {
            println!("bench: {problem}");
            return Verdict::ChecksFailed;
        }
    };
    if let (Some(_), [(variant, reason)]) = (variant, &impossible[..]) {
        let (variant, error) = (
            variant.name,
            ChooseError::Impossible {
                variant: variant.name,
                reason,
            },
        );
        println!("boot argument `variant={variant}`: {error}");
        return Verdict::BadArgument;
    }
    println!(
        "{}",
        Painted(
            Tone::Heading,
            "instructions, added to an untraced call unless it says otherwise"
        )
    );
    let beyond = rows.0.iter().filter(|row| !row.tell()).count();
    let right = costs.tell() && beyond == 0;
    for (variant, reason) in impossible {
        println!("{}: not here: {reason}", variant.name);
    }
    if right {
        Verdict::Passed
    } else {
        Verdict::ChecksFailed
    }
}

/// Chooses a variant whose calls are counted: so they have to come back.
///
/// # Errors
/// As [`registry::adopt`]; [`ChooseError::Impossible`] also where they fault.
fn adopt(variant: &'static Variant) -> Result<(), ChooseError> {
    if variant.faults() {
        return Err(ChooseError::Impossible {
            variant: variant.name,
            reason: "its calls fault where address 0 has no page; see `mmu=off`",
        });
    }
    registry::adopt(variant)
}

/// The costs of variants, and which of them this machine can't do, and why.
type Measured = (variants::Costs, Vec<(&'static Variant, &'static str)>);

fn measure_variants(
    chosen: &[&'static Variant],
    progress: &mut Progress,
    goes_on: &dyn Fn() -> bool,
) -> Result<Measured, Problem> {
    let before = registry::current();
    let mut costs = variants::Costs::default();
    let mut impossible = Vec::new();
    let result = chosen.iter().try_for_each(|variant| {
        go_on(goes_on)?;
        let measured = variants::measure(variant, &mut costs);
        match measured.map_err(|problem| format!("{}: {problem}", variant.name))? {
            Ok(()) => {}
            Err(reason) => impossible.push((*variant, reason)),
        }
        progress.done(variant.name);
        Ok(())
    });
    // What has failed before it may be why this fails.
    let put_back = registry::adopt(before).map_err(|error| format!("{error}"));
    result.and(put_back).map(|()| (costs, impossible))
}

impl Row {
    /// Prints and reports it. Says whether it is within its limit.
    fn tell(&self) -> bool {
        let Self {
            name,
            about,
            unit,
            value,
            limit,
        } = *self;
        // Where the order of locks is looked at, that costs more than what is measured.
        let limit = limit.filter(|_| !lock_order::IS_CHECKED);
        let fits = limit.is_none_or(|limit| value <= limit);
        let limit = limit.map_or(String::new(), |limit| format!("at most {limit}"));
        let tone = if fits { Tone::Good } else { Tone::Bad };
        println!(
            "  {name:<17} {about:<40} {value:>6} {unit:<13} {}",
            Painted(tone, limit)
        );
        console::report(&Record::Measure { name, unit, value });
        fits
    }
}
