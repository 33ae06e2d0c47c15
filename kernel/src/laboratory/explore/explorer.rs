//! Every disturbance at every stop of a call, in one situation after the other.

use super::{
    crew,
    disturbance::Disturbance,
    judge::{self, Finding},
    ledger::Ledger,
    situation::{self, Situation},
    step,
};
use crate::console::{self, Painted, Tone};
use alloc::{format, string::String};
use report::Record;

/// Of the stops, a short run takes each so many-th, another one for each disturbance.
const SHORT: usize = 13;

/// So many findings of one disturbance are told in full.
const TOLD: u32 = 3;

/// Explores a variant.
pub struct Explorer {
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
    /// An explorer of a variant that nothing was tried with. All is taken down.
    pub fn new(name: &'static str, situations: &[Situation], short: bool) -> Self {
        Self {
            name,
            ledger: Ledger::now(),
            short,
            runs: 0,
            findings: 0,
            done: 0,
            of: situations.iter().map(|one| one.disturbances().len()).sum(),
        }
    }

    /// How many findings there were.
    pub const fn findings(&self) -> u32 {
        self.findings
    }

    /// All disturbances at all stops of a call in one situation.
    ///
    /// # Errors
    /// What keeps it from going on.
    pub fn explore(&mut self, situation: Situation) -> Result<(), String> {
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
        console::progress("explore", self.done as u32, self.of as u32);
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
