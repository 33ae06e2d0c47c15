//! What a run must be like.

use super::{
    calls::{ARGUMENT, Watched},
    disturbance::Disturbance,
    step::{Stepped, Stop},
    threads::Disturbed,
};
use crate::instruments::sanitiser::{Deviation, What};
use alloc::{
    format,
    string::{String, ToString},
};
use core::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};
use disasm::Line;
use livepatch::variants::{self, Variant};
use machine::symbols::Place;
use report::Judgement;

/// Something that was wrong.
#[derive(Debug)]
pub struct Finding {
    at: Option<Stop>,
    wrong: String,
}

impl Finding {
    /// Wrong after something has happened there.
    pub fn new(at: Option<Stop>, wrong: String) -> Self {
        Self { at, wrong }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stop) = self.at {
            let (address, word) = (stop.address, stop.word);
            let name = |target: u64, f: &mut fmt::Formatter<'_>| Place(target).fmt(f);
            let line = Line::new(address, word).named(name);
            write!(f, " at {address:#x} ")?;
            match stop.behind_site {
                Some(offset) => write!(f, "(stub or trampoline)+{offset:#x}")?,
                None => Place(address).fmt(f)?,
            }
            write!(f, " `{line}`")?;
        }
        write!(f, ": {}", self.wrong)
    }
}

/// What was wrong with a run, if anything. `hits`: how many calls the tracer has seen,
/// if it was there from the start.
pub fn judge(
    stepped: &Stepped,
    what: Option<(usize, Disturbance)>,
    disturbed: Option<Disturbed>,
    hits: Option<u64>,
) -> Option<Finding> {
    let disturbance = what.map(|(_, disturbance)| disturbance);
    let wrong = wrong(stepped, disturbance, disturbed)
        .or_else(|| hits.and_then(|hits| wrong_hits(hits, disturbance)))?;
    Some(Finding::new(stepped.at, wrong))
}

fn wrong_hits(hits: u64, disturbance: Option<Disturbance>) -> Option<String> {
    let expected = match disturbance {
        // When it goes, and comes again, calls may pass by.
        Some(Disturbance::Trace) => return None,
        Some(other) if other.makes_call() => 2,
        _ => 1,
    };
    (hits != expected).then(|| format!("the tracer has seen {hits} calls instead of {expected}"))
}

fn wrong(
    stepped: &Stepped,
    disturbance: Option<Disturbance>,
    disturbed: Option<Disturbed>,
) -> Option<String> {
    if let Some(fault) = stepped.fault {
        let place = Place(fault.address);
        return Some(format!("the call is lost: {fault}, at {place}"));
    }
    if let Some(wrong) = wrong_call(&stepped.call) {
        return Some(format!("the call: {wrong}"));
    }
    let [before, after] = stepped.patch_state;
    if before != after {
        return Some(format!(
            "the thread has switched from {before} to {after} in the middle of the call"
        ));
    }
    let disturbance = disturbance?;
    let Some(at) = stepped.at else {
        return Some("the call never came to the stop".to_string());
    };
    if disturbance == Disturbance::Move && !stepped.has_moved {
        return Some("no other CPU has taken the call up".to_string());
    }
    let other = match (disturbed, &stepped.tick) {
        (Some(Err(error)), _) => return Some(format!("{disturbance} failed: {error}")),
        (Some(Ok(other)), _) => other,
        (None, Some((place, _))) if *place != at.address => {
            return Some(format!("the interrupt came at {}", Place(*place)));
        }
        (None, Some((_, other))) => other.clone(),
        (None, None) => None,
    };
    match other {
        None if disturbance.makes_call() => Some(format!("{disturbance} was not made")),
        None => None,
        Some(other) => wrong_call(&other).map(|wrong| format!("{disturbance}: {wrong}")),
    }
}

pub(super) fn wrong_call(call: &Watched) -> Option<String> {
    wrong_by(variants::current(), call)
}

/// What is wrong with a call that a variant has handed over, or would have. What the
/// variant declares as its price is not wrong, but counted.
pub fn wrong_by(variant: &Variant, call: &Watched) -> Option<String> {
    let is_new = call.expected != 3 * ARGUMENT + 1;
    let is_declared = |one: &&Deviation| is_new && declared(variant, one.what).is_some();
    for one in call.deviations.iter().filter(is_declared) {
        if let Some(price) = PRICES.iter().find(|price| price.case == case(one.what)) {
            price.calls.fetch_add(1, Ordering::Relaxed);
        }
    }
    if let Some(first) = call.deviations.iter().find(|one| !is_declared(one)) {
        return Some(first.to_string());
    }
    let (result, expected) = (call.result, call.expected);
    (result != expected).then(|| format!("it returned {result} instead of {expected}"))
}

/// The conformance case that asks for what has deviated.
fn case(what: What) -> &'static str {
    match what {
        What::Register(2) => "r2-local-rust",
        What::Reserved => "reserved-word",
        What::TocSave => "toc-save-word",
        What::Register(_) | What::ConditionFields | What::BackChain | What::Own(_) => "registers",
    }
}

/// Why a variant expects of itself to fail the case that asks for this, if it does.
fn declared(variant: &Variant, what: What) -> Option<&'static str> {
    let (expected, why) = variant.expectation(case(what));
    (expected == Judgement::Fail).then_some(why)
}

/// In how many calls the declared price of a case was paid.
struct Price {
    case: &'static str,
    calls: AtomicU32,
}

static PRICES: [Price; 4] = [
    Price::new("r2-local-rust"),
    Price::new("reserved-word"),
    Price::new("toc-save-word"),
    Price::new("registers"),
];

impl Price {
    const fn new(case: &'static str) -> Self {
        Self {
            case,
            calls: AtomicU32::new(0),
        }
    }
}

/// The cases with a declared price that was paid since the last time, and in how many
/// calls.
pub fn take_prices() -> impl Iterator<Item = (&'static str, u32)> {
    let taken = |price: &Price| (price.case, price.calls.swap(0, Ordering::Relaxed));
    PRICES.iter().map(taken).filter(|(_, calls)| *calls > 0)
}
