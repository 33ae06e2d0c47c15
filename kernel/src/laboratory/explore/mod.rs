//! The step explorer: at every instruction of a patched call it does everything that
//! can happen there, one thing at a time. Not a sample of the interleavings of one
//! path, but all of them.
//!
//! A call of a patched function goes from its caller A to the site, by a stub or the
//! trampoline and its callback to the hand-off, to the new function C, and by the
//! variant's return convention home to A. With `MSR[SE]` the CPU traps before each of
//! its instructions (ISA Book III, 7.5.15): the *stops*. For each *situation* that a
//! call can come into, each *disturbance* and each stop, the call is made once, and
//! disturbed there. What another thread does, a partner does, who is given the CPU as
//! a tick would give it. Where interrupts are off no tick comes, so nothing can
//! happen: such stops are counted as masked.
//!
//! Nothing on the way may wait for its own store-conditional to succeed, for every trap
//! takes the reservation away.
//!
//! Right is, after each run: what the call returned, by the side of the transition
//! that its thread was on; everything else that the caller may rely on, by the ABI
//! sanitiser; the same of the calls that were the disturbance; and once everything
//! has been taken down again, the kernel's code and all memory, as before.
//!
//! - `step`: the call and its stops;
//! - `situation`, `disturbance`: what the call comes into, and what comes upon it;
//! - `crew`: the threads;
//! - `judge`: what a run must be like;
//! - `ledger`: what must be as before;
//! - `controls`: what is wrong on purpose, and must be found.

mod controls;
mod crew;
mod disturbance;
mod judge;
mod ledger;
mod situation;
mod step;
pub mod victims;

pub use controls::{CONTROLS, Control, find as find_control};

use crate::{
    console::{self, Painted, Tone},
    interrupt,
    livepatch::{
        self,
        variants::{self, VARIANTS, Variant},
    },
    module,
};
use alloc::{format, string::String};
use disturbance::{Disturbance, text};
use judge::Finding;
use ledger::Ledger;
use report::{Record, Verdict};
use situation::Situation;

/// The patch, and the one over it.
const PATCH: &str = "explore";
const SECOND: &str = "explore_again";

/// Of the stops, a short run takes each so many-th, another one for each disturbance.
const SHORT: usize = 13;

/// So many findings of one disturbance are told in full.
const TOLD: u32 = 3;

/// Explores one variant or control, or all variants that give A its r2 back.
#[must_use]
pub fn run(name: Option<&str>, short: bool) -> Verdict {
    println!(
        "{}",
        Painted(
            Tone::Heading,
            "every disturbance at every instruction of a patched call"
        )
    );
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
    let module = module::find(PATCH).ok_or("its module is lost")?;
    let result = if module.convention == variant.convention {
        Ok(())
    } else {
        Err("there are no modules of its return convention".into())
    };
    drop(module);
    module::unload(PATCH).map_err(text)?;
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
    crew::start().map_err(text)?;
    interrupt::watch(Some(step::watch));
    let result = explore_situations(name, situations, short);
    interrupt::watch(None);
    crew::stop();
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
    let mut explorer = Explorer {
        name,
        ledger: Ledger::now(),
        short,
        runs: 0,
        findings: 0,
        done: 0,
        of: situations.iter().map(|one| one.disturbances().len()).sum(),
    };
    for &situation in situations {
        explorer.explore(situation)?;
    }
    Ok(explorer.findings)
}

/// Explores a variant.
struct Explorer {
    name: &'static str,
    /// What must be as before.
    ledger: Ledger,
    short: bool,
    /// Of the situation.
    runs: u32,
    /// Of all situations.
    findings: u32,
    /// Disturbances in situations that were tried at all stops, and those there are.
    done: usize,
    of: usize,
}

impl Explorer {
    /// All disturbances at all stops of a call in one situation.
    fn explore(&mut self, situation: Situation) -> Result<(), String> {
        self.runs = 0;
        let before = self.findings;
        for _ in 0..2 {
            // The second time, tables have grown, and the way is the usual one.
            let wrong = self.attempt(situation, None)?;
            self.tell(situation, None, wrong);
        }
        let stops = step::stops();
        let all = || (0..stops).filter_map(step::stop).enumerate();
        let masked = all().filter(|(_, stop)| stop.masked).count();
        let disturbances = situation.disturbances();
        for (nth, &disturbance) in disturbances.iter().enumerate() {
            let mut told = 0;
            for (number, _) in all().filter(|(_, stop)| !stop.masked) {
                if self.short && number % SHORT != nth % SHORT {
                    continue;
                }
                let wrong = self.attempt(situation, Some((number, disturbance)))?;
                told += u32::from(wrong.is_some());
                if told <= TOLD {
                    self.tell(situation, Some(disturbance), wrong);
                } else {
                    self.findings += u32::from(wrong.is_some());
                }
            }
            if told > TOLD {
                println!("  {situation}, {disturbance}: and {} more", told - TOLD);
            }
            self.done += 1;
            console::report(&Record::Progress {
                what: &format!("{situation}"),
                done: self.done as u32,
                of: self.of as u32,
            });
        }
        let findings = self.findings - before;
        let (name, runs) = (self.name, self.runs);
        print!(
            "{name} {situation}: {stops} stops ({masked} masked) x {} actions, {runs} runs: ",
            disturbances.len()
        );
        if findings == 0 {
            println!("{}", Painted(Tone::Good, "clean"));
        } else {
            println!(
                "{}",
                Painted(Tone::Bad, format_args!("{findings} findings"))
            );
        }
        console::report(&Record::Explored {
            variant: name,
            situation: &format!("{situation}"),
            stops: stops as u32,
            masked: masked as u32,
            disturbances: disturbances.len() as u32,
            runs,
            findings,
        });
        Ok(())
    }

    /// One run, and what was wrong with it. Memory that has gone is not wrong yet:
    /// only if it goes again when the same is done again.
    fn attempt(
        &mut self,
        situation: Situation,
        what: Option<(usize, Disturbance)>,
    ) -> Result<Option<Finding>, String> {
        let finding = self.once(situation, what)?;
        let now = Ledger::after(&self.ledger);
        let before = core::mem::replace(&mut self.ledger, now);
        if finding.is_some() || now == before {
            return Ok(finding);
        }
        let at = what.and_then(|(number, _)| step::stop(number));
        let lost = |before, now| Some(Finding::new(at, format!("before: {before}; after: {now}")));
        if !now.has_same_code(&before) {
            return Ok(lost(before, now));
        }
        let finding = self.once(situation, what)?;
        self.ledger = Ledger::after(&now);
        if finding.is_some() || self.ledger == now {
            return Ok(finding);
        }
        Ok(lost(now, self.ledger))
    }

    fn once(
        &mut self,
        situation: Situation,
        what: Option<(usize, Disturbance)>,
    ) -> Result<Option<Finding>, String> {
        self.runs += 1;
        situation::set_up(situation)?;
        let hits = situation::hits();
        let in_vain = |problem| format!("{situation}, {what:?}: {problem}");
        let (stepped, disturbed) = crew::run(what).map_err(in_vain)?;
        let hits = situation::hits() - hits;
        situation::take_down().map_err(in_vain)?;
        Ok(judge::judge(
            &stepped,
            what,
            disturbed,
            situation.is_traced().then_some(hits),
        ))
    }

    /// Prints a finding, if there is one.
    fn tell(
        &mut self,
        situation: Situation,
        disturbance: Option<Disturbance>,
        finding: Option<Finding>,
    ) {
        let Some(finding) = finding else { return };
        self.findings += 1;
        print!("FOUND {}, {situation}", self.name);
        if let Some(disturbance) = disturbance {
            print!(", {disturbance}");
        }
        println!("{finding}");
    }
}
