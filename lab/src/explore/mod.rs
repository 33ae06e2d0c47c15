//! The step explorer: at every instruction of a patched call it does everything that
//! can happen there, one thing at a time. Not a sample of the interleavings of one
//! path, but all of them.
//!
//! A call of a patched function goes from its caller A to the site, by a stub or the
//! trampoline and its callback to the hand-off, to the new function C, and by the
//! variant's return convention home to A. With `MSR[SE]` the CPU traps before each of
//! its instructions (ISA Book III, 7.5.15): the *stops*. For each *situation* that a
//! call can come into, each *disturbance* and each stop, the call is made once, and
//! disturbed there. A partner thread does what another thread would do: it is given the
//! CPU as by a tick. Where interrupts are off no tick comes, so nothing can happen: such
//! stops are counted as masked.
//!
//! On a machine with several CPUs another CPU does what the partner does, and the call stands
//! still meanwhile; masked stops count too. And at each stop that is not masked another CPU takes
//! the call up and brings it home.
//!
//! Right is, after each run: what the call returned, by the side of the transition
//! that its thread was on; everything else that the caller may rely on, by the ABI
//! sanitiser; the same of the calls that were the disturbance; and once everything
//! has been taken down again, the kernel's code and all memory, as before. What the
//! variant declares as its price, by the case of the matrix that asks for it, is told
//! once, with the number of calls.
//!
//! - `explorer`: all disturbances at all stops;
//! - `beginning`: another thread's call at each instruction of a transition's beginning;
//! - `calls`: the function that is called, and what it must return;
//! - `step`: a call of it, and its stops;
//! - `situation`, `disturbance`: what the call comes into, and what comes upon it;
//! - `other_cpu`: what lets another CPU act at a stop;
//! - `pairs`: what lets both stand still; `memory`: where instructions load from;
//! - `tracers`: the kernel's tracers, on the function, the new one, or both;
//! - `threads`: the threads;
//! - `judge`: what a run must be like;
//! - `snapshot`: what must be as before;
//! - `controls`: what is wrong on purpose, and must be found; `racy`: what is wrong with
//!   several CPUs alone.

mod beginning;
mod calls;
mod controls;
mod disturbance;
mod explorer;
pub mod functions;
mod judge;
mod memory;
mod other_cpu;
mod pairs;
mod racy;
mod situation;
mod snapshot;
mod step;
mod threads;
mod tracers;

pub use calls::{ARGUMENT, Watched};
pub use controls::{CONTROLS, Control, find as find_control};
pub use judge::wrong_by;

use alloc::{format, string::String};
use disturbance::text;
use explorer::Explorer;
use livepatch::variants::{self, VARIANTS, Variant};
use machine::{
    console::{Painted, Tone},
    log,
};
use report::Verdict;
use situation::Situation;

/// The patch, and the one over it.
const PATCH: &str = "explore";
const SECOND: &str = "explore_again";

/// Explores one variant or control, or all variants that give A its r2 back.
#[must_use]
pub fn run(name: Option<&str>, short: bool) -> Verdict {
    let heading = if other_cpu::exists() {
        "every action of another CPU at every instruction of a patched call"
    } else {
        "every disturbance at every instruction of a patched call"
    };
    println!("{}", Painted(Tone::Heading, heading));
    // Every run enables something.
    log::set_max_level(log::LevelFilter::Error);
    let result = match name {
        None => explore_all(short),
        Some(name) => match (variants::find(name), find_control(name)) {
            (Some(variant), _) => explore_one(variant, variant.name, Situation::ALL, short),
            (None, Some(control)) => {
                // All of it, or it may be missed.
                explore_one(control.hand_off(), control.name, control.situations, false)
            }
            (None, None) => {
                println!("boot argument `variant={name}`: {}", Unknown);
                return Verdict::BadArgument;
            }
        },
    };
    match result {
        Ok(0) => Verdict::Passed,
        Ok(findings) => {
            println!("{findings} findings");
            Verdict::ChecksFailed
        }
        Err(problem) => {
            println!("can't go on: {problem}");
            Verdict::ChecksFailed
        }
    }
}

/// The refusal of a name that is neither a variant's nor a control's.
struct Unknown;

impl core::fmt::Display for Unknown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        variants::ChooseError::Unknown.fmt(f)?;
        CONTROLS
            .iter()
            .try_for_each(|control| write!(f, ", {} (a control)", control.name))
    }
}

/// All variants that claim to be sound and can be used here. Says how many findings
/// there are.
fn explore_all(short: bool) -> Result<u32, String> {
    let mut findings = 0;
    for variant in VARIANTS {
        let name = variant.name;
        if !variant.gives_back_toc {
            println!("{name}: left out, for it does not give r2 back");
        } else if let Err(reason) = is_possible(variant) {
            println!("{name}: not here: {reason}");
        } else {
            findings += explore_one(variant, name, Situation::ALL, short)?;
        }
    }
    Ok(findings)
}

/// Whether the machine can use a variant, and has modules for it.
fn is_possible(variant: &'static Variant) -> Result<(), String> {
    variants::adopt(variant).map_err(text)?;
    situation::load(PATCH)?;
    let module = loader::find(PATCH).ok_or("its module is lost")?;
    let result = if module.convention == variant.convention {
        Ok(())
    } else {
        Err("there are no modules of its return convention".into())
    };
    drop(module);
    loader::unload(PATCH).map_err(text)?;
    result
}

/// Explores one. Says how many findings there are.
fn explore_one(
    variant: &'static Variant,
    name: &'static str,
    situations: &[Situation],
    short: bool,
) -> Result<u32, String> {
    is_possible(variant).map_err(|reason| format!("{name}: {reason}"))?;
    threads::start().map_err(text)?;
    let mut result = explore_situations(name, situations, short);
    if let Ok(findings) = &mut result
        && name == VARIANTS[0].name
        && !other_cpu::exists()
    {
        *findings += beginning::explore(short)?;
    }
    threads::stop();
    for (case, calls) in judge::take_prices() {
        let (_, why) = variant.expectation(case);
        println!("{name}: as declared, {calls} calls fail `{case}`: {why}");
    }
    let result = result?;
    for name in [SECOND, PATCH] {
        livepatch::unload(name).map_err(text)?;
    }
    Ok(result)
}

fn explore_situations(
    name: &'static str,
    situations: &[Situation],
    short: bool,
) -> Result<u32, String> {
    situation::take_down()?;
    step::reserve();
    tracers::reserve()?;
    let mut explorer = Explorer::new(name, situations, short);
    for &situation in situations {
        explorer.explore(situation)?;
    }
    // What the other CPU does is the same code for all variants.
    if other_cpu::exists() && name == VARIANTS[0].name {
        let is_sample = |one: &&Situation| !short || **one == Situation::SettledTraced;
        for &situation in situations.iter().filter(is_sample) {
            explorer.explore_pairs(situation)?;
        }
    }
    Ok(explorer.findings())
}
