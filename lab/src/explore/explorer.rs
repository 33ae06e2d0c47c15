//! Every disturbance at every stop of a call, in one situation after the other.

use super::{
    disturbance::Disturbance,
    judge::{self, Finding},
    other_cpu, pairs,
    situation::{self, Situation},
    snapshot::Snapshot,
    step, threads,
    tracers::Tracer,
};
use alloc::{format, string::String, vec::Vec};
use core::fmt;
use machine::console::{self, Painted, Tone};
use report::Record;

/// Of the stops, a short run takes each so many-th, another one for each disturbance; but
/// see [`Situation::is_explored_in_full`].
const SHORT: usize = 13;
/// The same where another CPU acts: the actions are the same, and so is the code that they meet.
const SHORT_OTHER: usize = 61;

/// So many findings of one disturbance are told in full.
const TOLD: u32 = 3;

/// The stops of the call that was counted last at which something can happen, by number;
/// those too at which interrupts are off, if that makes no difference.
fn open_stops(masked_too: bool) -> impl Iterator<Item = usize> {
    let is_open =
        move |&number: &usize| step::stop(number).is_some_and(|stop| masked_too || !stop.masked);
    (0..step::stops()).filter(is_open)
}

/// How many stops the call had that was counted last, and how many of them are masked.
fn counted() -> (usize, usize) {
    let stops = step::stops();
    (stops, stops - open_stops(false).count())
}

/// Explores a variant.
pub struct Explorer {
    name: &'static str,
    /// What must be as before.
    snapshot: Snapshot,
    short: bool,
    /// Of the situation.
    runs: u32,
    /// Those of them in which another CPU had to wait for the call to go on.
    waited: u32,
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
            snapshot: Snapshot::now(),
            short,
            runs: 0,
            waited: 0,
            findings: 0,
            done: 0,
            of: { situations.iter() }
                .map(|one| one.disturbances().count())
                .sum(),
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
        self.waited = 0;
        let before = self.findings;
        self.count(situation, None)?;
        let stops = counted();
        let mut actions = 0;
        for (nth, disturbance) in situation.disturbances().enumerate() {
            if let Some(tracer) = disturbance.beforehand() {
                self.count(situation, Some(tracer))?;
            }
            self.disturb(situation, disturbance, nth)?;
            actions += 1;
            self.done += 1;
            console::report(&Record::Progress {
                what: &format!("{situation}"),
                done: self.done as u32,
                of: self.of as u32,
            });
        }
        self.report(&format!("{situation}"), stops, actions, before);
        Ok(())
    }

    /// Says how one situation was explored. There were so many findings `before`.
    fn report(&self, situation: &str, (stops, masked): (usize, usize), actions: u32, before: u32) {
        let findings = self.findings - before;
        let (name, runs) = (self.name, self.runs);
        print!(
            "{name} {situation}: {stops} stops ({masked} masked) x {actions} actions, {runs} runs"
        );
        if other_cpu::exists() {
            print!(", {} waited for the call", self.waited);
        }
        print!(": ");
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
            situation,
            stops: stops as u32,
            masked: masked as u32,
            disturbances: actions,
            runs,
            waited: self.waited,
            findings,
        });
    }

    /// Notes the stops of a call that nothing happens to.
    fn count(&mut self, situation: Situation, tracer: Option<Tracer>) -> Result<(), String> {
        for _ in 0..2 {
            // The second time, tables have grown, and the way is the usual one.
            let wrong = self.attempt(situation, tracer, None)?;
            self.tell(
                situation,
                tracer.map(|tracer| format!("with {tracer}")),
                wrong,
            );
        }
        Ok(())
    }

    /// A disturbance at each of the stops that were counted; `nth` in the situation.
    fn disturb(
        &mut self,
        situation: Situation,
        disturbance: Disturbance,
        nth: usize,
    ) -> Result<(), String> {
        let mut told = 0;
        let every = if other_cpu::exists() {
            SHORT_OTHER
        } else {
            SHORT
        };
        let samples = self.short && !situation.is_explored_in_full(disturbance);
        for number in open_stops(disturbance.comes_when_masked()) {
            if samples && number % every != nth % every {
                continue;
            }
            let what = Some((number, disturbance));
            let wrong = self.attempt(situation, disturbance.beforehand(), what)?;
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
        Ok(())
    }

    /// All pairs of an instruction of a call and a change by another CPU in one situation: see
    /// [`pairs`].
    ///
    /// # Errors
    /// What keeps it from going on.
    pub fn explore_pairs(&mut self, situation: Situation) -> Result<(), String> {
        (self.runs, self.waited) = (0, 0);
        let before = self.findings;
        self.count(situation, None)?;
        let stops = counted();
        let mut actions = 0;
        let stepped = situation.disturbances().filter(|one| {
            let sample = matches!(one, Disturbance::Enable | Disturbance::Disable);
            one.changes_ways() && (sample || !self.short)
        });
        let stepped: Vec<_> = stepped.collect();
        for disturbance in stepped {
            self.pair(situation, disturbance)?;
            actions += 1;
        }
        pairs::forget();
        self.snapshot = Snapshot::now();
        self.report(&format!("{situation}, in pairs"), stops, actions, before);
        Ok(())
    }

    /// Those of one action.
    fn pair(&mut self, situation: Situation, disturbance: Disturbance) -> Result<(), String> {
        let tracer = disturbance.beforehand();
        self.count(situation, tracer)?;
        pairs::record();
        for what in [None, Some((0, disturbance))] {
            let wrong = self.attempt(situation, tracer, what)?;
            self.tell(situation, Some(disturbance), wrong);
        }
        let stops = pairs::stop_recording()?;
        self.snapshot = Snapshot::now();
        for number in stops {
            for change in 0.. {
                pairs::stand_behind(Some(change));
                let wrong = self.attempt(situation, tracer, Some((number, disturbance)));
                pairs::stand_behind(None);
                let what = format_args!("{disturbance}, up to change {change}");
                self.tell(situation, Some(what), wrong?);
                if !pairs::stands() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// One run, and what was wrong with it. Memory that has gone is not wrong yet:
    /// only if it goes again when the same is done again.
    fn attempt(
        &mut self,
        situation: Situation,
        tracer: Option<Tracer>,
        what: Option<(usize, Disturbance)>,
    ) -> Result<Option<Finding>, String> {
        let finding = self.once(situation, tracer, what)?;
        let now = Snapshot::after(&self.snapshot);
        let before = core::mem::replace(&mut self.snapshot, now);
        if finding.is_some() || now == before {
            return Ok(finding);
        }
        let at = what.and_then(|(number, _)| step::stop(number));
        let lost = |before, now| Some(Finding::new(at, format!("before: {before}; after: {now}")));
        if !now.has_same_code(&before) {
            return Ok(lost(before, now));
        }
        let finding = self.once(situation, tracer, what)?;
        self.snapshot = Snapshot::after(&now);
        if finding.is_some() || self.snapshot == now {
            return Ok(finding);
        }
        Ok(lost(now, self.snapshot))
    }

    fn once(
        &mut self,
        situation: Situation,
        tracer: Option<Tracer>,
        what: Option<(usize, Disturbance)>,
    ) -> Result<Option<Finding>, String> {
        self.runs += 1;
        console::progress("explore", self.done as u32, self.of as u32);
        situation::set_up(situation)?;
        if let Some(tracer) = tracer {
            tracer.attach()?;
        }
        let hits = situation::hits();
        let in_vain = |problem| format!("{situation}, {what:?}: {problem}");
        let (stepped, disturbed) = threads::run(what).map_err(in_vain)?;
        let hits = situation::hits() - hits;
        self.waited += u32::from(stepped.has_waited);
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
        what: Option<impl fmt::Display>,
        finding: Option<Finding>,
    ) {
        let Some(finding) = finding else { return };
        self.findings += 1;
        print!("FOUND {}, {situation}", self.name);
        if let Some(what) = what {
            print!(", {what}");
        }
        println!("{finding}");
    }
}
