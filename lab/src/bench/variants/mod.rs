//! What a call costs with each variant, and which part of it costs how much.
//!
//! The function that is called returns at once, and so does its replacement: what
//! remains is the way from the one to the other and home. The timebase counts a whole
//! call; the *parts* are counted by stepping through one. Both must come to the same.
//!
//! - `path`: the instructions of a call, one by one;
//! - `parts`: which part an instruction belongs to.

mod parts;
mod path;

use super::{
    EMPTY, Problem, added_by, call_cost,
    calls::REGISTERS,
    patched::{Busy, enable, problem},
};
use crate::instruments::calls::AtOnce;
use alloc::{format, string::String, vec::Vec};
use livepatch::variants::{ChooseError, Variant};
use machine::{
    console::{self, Painted, Tone},
    cpus,
};
use parts::{Ground, Part};
use path::{Path, walk};
use report::Record;

/// The patch that is measured: one function.
const PATCH: &str = "soak1";

const INSTRUCTIONS: &str = "instructions";
const BYTES: &str = "bytes";

/// What something costs.
struct Cost {
    variant: &'static str,
    measure: &'static str,
    unit: &'static str,
    value: u64,
}

/// What was measured, of all variants.
#[derive(Default)]
pub(super) struct Costs(Vec<Cost>);

/// The most that a settled call by `epilogue` may add.
const EPILOGUE: u64 = 18;

/// The most that a call in a transition may cost beyond a settled one: the trampoline and
/// its callback, whatever the variant's own instructions are.
const TRAMPOLINE: u64 = 110;

impl Costs {
    fn value(&self, variant: &str, measure: &str) -> Option<u64> {
        let mut costs = self.0.iter();
        let found = costs.find(|cost| (cost.variant, cost.measure) == (variant, measure));
        found.map(|cost| cost.value)
    }

    /// The most that something may cost, once all of its variant is measured.
    fn limit(&self, variant: &str, measure: &str) -> Option<u64> {
        Some(match (measure, variant) {
            ("rest", _) => 2,
            ("traced", _) => 45,
            ("traced_regs", _) => 90,
            ("transition", _) => self.value(variant, "settled")? + TRAMPOLINE,
            ("settled", "epilogue") => EPILOGUE,
            // Fewer: there is nothing to be brought back.
            ("settled", "shared-toc") => self.value("epilogue", measure).unwrap_or(EPILOGUE) - 1,
            ("settled", "livepatch-stack") => 27,
            ("handoff", "epilogue") => 3,
            ("return_convention", "epilogue") => 4,
            _ => return None,
        })
    }

    fn push(&mut self, variant: &Variant, measure: &'static str, unit: &'static str, value: u64) {
        let variant = variant.name;
        self.0.push(Cost {
            variant,
            measure,
            unit,
            value,
        });
    }

    /// Prints and reports everything. Says whether all is within its limit.
    pub fn tell(&self) -> bool {
        let mut right = true;
        let mut last = "";
        for cost in &self.0 {
            if cost.variant != last {
                last = cost.variant;
                println!("{}", Painted(Tone::Heading, last));
            }
            let limit = self.limit(cost.variant, cost.measure);
            let fits = limit.is_none_or(|limit| cost.value <= limit);
            right &= fits;
            let at_most = limit.map_or(String::new(), |limit| format!("at most {limit}"));
            let tone = if fits { Tone::Good } else { Tone::Bad };
            println!(
                "  {:<17} {:>6} {:<13} {}",
                cost.measure,
                cost.value,
                cost.unit,
                Painted(tone, at_most)
            );
            console::report(&Record::Cost {
                variant: cost.variant,
                measure: cost.measure,
                unit: cost.unit,
                value: cost.value,
                limit,
            });
        }
        right
    }
}

/// Measures a variant, unless this machine can't do it: then says why not.
///
/// # Errors
/// When something can't be measured.
pub(super) fn measure(
    variant: &'static Variant,
    costs: &mut Costs,
) -> Result<Result<(), &'static str>, Problem> {
    match super::adopt(variant) {
        Ok(()) => {}
        Err(ChooseError::Impossible { reason, .. }) => return Ok(Err(reason)),
        Err(error) => return Err(format!("{error}")),
    }
    let plain = call_cost(AtOnce::Plain)?;
    let rest = call_cost(AtOnce::Site)?;
    costs.push(variant, "rest", INSTRUCTIONS, rest - plain);
    let traced = added_by(&[&EMPTY], rest)?;
    costs.push(variant, "traced", INSTRUCTIONS, traced);
    let traced = added_by(&[&REGISTERS], rest)?;
    costs.push(variant, "traced_regs", INSTRUCTIONS, traced);

    let function = AtOnce::Many;
    let unpatched = Counted::new(function)?;
    let busy = Busy::start()?;
    let enabled = enable(PATCH).map(drop);
    let moving = enabled.and_then(|()| in_transition(function));
    busy.end()?;
    livepatch::wait();
    let added = added(&moving?, &unpatched)?;
    costs.push(variant, "transition", INSTRUCTIONS, added);

    settled(variant, function, &unpatched, costs)?;
    livepatch::disable(PATCH).map_err(problem)?;
    livepatch::wait();
    livepatch::unload(PATCH).map_err(problem)?;
    Ok(Ok(()))
}

/// A call, counted in both ways, or by its steps alone.
struct Counted {
    /// Its instructions, by the timebase.
    cost: Option<u64>,
    path: Path,
}

impl Counted {
    fn new(function: AtOnce) -> Result<Self, Problem> {
        let cost = Some(call_cost(function)?);
        let counted = Self::by_steps(function)?;
        Ok(Self { cost, ..counted })
    }

    fn by_steps(function: AtOnce) -> Result<Self, Problem> {
        // SAFETY: it takes no arguments, nor does its replacement, and needs no TOC.
        let path = unsafe { walk(function.address()) }?;
        Ok(Self { cost: None, path })
    }
}

/// What one call takes more than another, if both ways to count agree.
fn added(call: &Counted, unpatched: &Counted) -> Result<u64, Problem> {
    let steps = |counted: &Counted| counted.path.stops.len() as u64;
    let by_steps = steps(call) - steps(unpatched);
    match call
        .cost
        .zip(unpatched.cost)
        .map(|(one, other)| one - other)
    {
        Some(by_time) if by_time != by_steps => Err(format!(
            "a call adds {by_time} instructions by the timebase, and {by_steps} by steps"
        )),
        _ => Ok(by_steps),
    }
}

/// A call while the patch is being enabled, of a thread that has switched.
fn in_transition(function: AtOnce) -> Result<Counted, Problem> {
    thread::safe_point();
    // On several CPUs the thread that blocks the transition runs meanwhile, and time counts its
    // instructions too.
    let counted = if cpus::count() == 1 {
        Counted::new(function)
    } else {
        Counted::by_steps(function)
    }?;
    if livepatch::running().is_none() {
        return Err("the transition has not waited".into());
    }
    let mut stops = counted.path.stops.iter();
    if stops.any(|stop| loader::is_code(stop.address)) {
        Ok(counted)
    } else {
        Err("in the transition, a call was not handed over".into())
    }
}

/// The settled call and its parts.
fn settled(
    variant: &'static Variant,
    function: AtOnce,
    unpatched: &Counted,
    costs: &mut Costs,
) -> Result<(), Problem> {
    let call = Counted::new(function)?;
    let stub = livepatch::way_of(function.address()).ok_or("a call takes the long way")?;
    let all = added(&call, unpatched)?;
    costs.push(variant, "settled", INSTRUCTIONS, all);
    let ground = Ground::new(variant, function.address(), stub, &call.path)?;
    let before = Ground::unpatched(function.address());
    let body = before.count(&unpatched.path, Part::Body);
    let mut sum = 0;
    for part in Part::ALL {
        // The old function's site is passed either way, and its body, a return, is
        // what the new function's last instruction does.
        let as_before = match part {
            Part::Prologue => body,
            part => before.count(&unpatched.path, part),
        };
        let count = ground.count(&call.path, part).checked_sub(as_before);
        let count = count.ok_or_else(|| format!("a patched call has less of {}", part.name()))?;
        sum += count;
        costs.push(variant, part.name(), INSTRUCTIONS, count);
    }
    if sum != all {
        return Err(format!("the parts make {sum} instructions, the call {all}"));
    }
    costs.push(variant, "stack_bytes", BYTES, call.path.stacks.iter().sum());
    costs.push(variant, "code_bytes", BYTES, ground.code_bytes());
    for stop in &call.path.stops {
        console::report(&Record::Path {
            variant: variant.name,
            part: ground.part(stop.address).name(),
            address: stop.address,
            word: stop.word,
        });
    }
    Ok(())
}
