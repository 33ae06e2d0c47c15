//! Transitions from records, in the order in which they were written.

use super::{Blocked, Demonstration, Lane, Machine, Switch, Transition};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The records that matter here, as `crates/report` writes them.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Record {
    Boot(Machine),
    Transition {
        number: u64,
        patch: String,
        direction: String,
        reversed: bool,
        time: u64,
    },
    Switch {
        number: u64,
        thread: u32,
        name: String,
        cpu: u32,
        how: String,
        time: u64,
    },
    Blocked {
        thread: u32,
        name: String,
        reason: String,
        function: String,
        time: u64,
    },
    TransitionEnd {
        number: u64,
        enabled: bool,
        time: u64,
    },
    #[serde(other)]
    Other,
}

/// The transition that runs at this place of the report.
struct Running {
    transition: Transition,
    start: u64,
    lanes: BTreeMap<u32, Lane>,
}

impl Demonstration {
    /// Reads a report, a JSON object a line.
    ///
    /// # Errors
    /// When a line is no record, comes at a time when it can't, or a transition has not
    /// ended; and when there is none.
    pub fn read(report: &str) -> Result<Demonstration> {
        let mut machine = None;
        let mut names = BTreeMap::new();
        let mut transitions = Vec::new();
        let mut running: Option<Running> = None;
        for (index, line) in report.lines().enumerate() {
            let place = || format!("line {} of the report: {line}", index + 1);
            let record: Record = serde_json::from_str(line).with_context(place)?;
            if let Record::Switch { thread, name, .. } | Record::Blocked { thread, name, .. } =
                &record
            {
                names.insert(*thread, name.clone());
            }
            match (record, &mut running) {
                (Record::Boot(found), _) => machine = Some(found),
                (Record::Other, _) => {}
                (
                    Record::TransitionEnd {
                        number,
                        enabled,
                        time,
                    },
                    Some(now),
                ) => {
                    now.check(number).with_context(place)?;
                    now.transition.enabled = enabled;
                    transitions.push(now.end(time).with_context(place)?);
                    running = None;
                }
                (record, Some(now)) => now.take(record).with_context(place)?,
                (
                    Record::Transition {
                        number,
                        patch,
                        direction,
                        reversed: false,
                        time,
                    },
                    None,
                ) => running = Some(Running::new(number, patch, direction, time)),
                (_, None) => bail!("{} is in no transition", place()),
            }
        }
        if let Some(Running { transition, .. }) = running {
            bail!("transition {} has not ended", transition.number);
        }
        ensure!(!transitions.is_empty(), "the report has no transition");
        for transition in &mut transitions {
            transition.complete(&names);
        }
        Ok(Demonstration {
            machine: machine.context("the report does not say on which machine it was")?,
            transitions,
        })
    }
}

impl Running {
    fn new(number: u64, patch: String, direction: String, start: u64) -> Running {
        let transition = Transition {
            number,
            patch,
            direction,
            turns: Vec::new(),
            end: 0,
            enabled: false,
            lanes: Vec::new(),
        };
        Running {
            transition,
            start,
            lanes: BTreeMap::new(),
        }
    }

    fn check(&self, number: u64) -> Result<()> {
        let own = self.transition.number;
        ensure!(number == own, "transition {own} is the one that runs");
        Ok(())
    }

    fn since_start(&self, time: u64) -> Result<u64> {
        let start = self.start;
        let since = time.checked_sub(start);
        since.with_context(|| format!("that is before the transition's start, {start}"))
    }

    fn lane(&mut self, thread: u32) -> &mut Lane {
        self.lanes.entry(thread).or_default()
    }

    fn take(&mut self, record: Record) -> Result<()> {
        match record {
            Record::Transition {
                number,
                reversed,
                time,
                ..
            } => {
                self.check(number)?;
                let turned = self.turned();
                ensure!(reversed != turned, "it goes that way already");
                let time = self.since_start(time)?;
                self.transition.turns.push(time);
            }
            Record::Switch {
                number,
                thread,
                cpu,
                how,
                time,
                ..
            } => {
                self.check(number)?;
                let (time, back) = (self.since_start(time)?, self.turned());
                let switch = Switch {
                    time,
                    cpu,
                    how,
                    back,
                };
                self.lane(thread).switches.push(switch);
            }
            Record::Blocked {
                thread,
                reason,
                function,
                time,
                ..
            } => {
                let from = self.since_start(time)?;
                let seen = Blocked {
                    from,
                    to: from,
                    reason,
                    function,
                };
                self.lane(thread).blocked.push(seen);
            }
            Record::Boot(_) | Record::TransitionEnd { .. } | Record::Other => {}
        }
        Ok(())
    }

    fn turned(&self) -> bool {
        self.transition.turns.len() % 2 == 1
    }

    fn end(&mut self, time: u64) -> Result<Transition> {
        let end = self.since_start(time)?;
        for lane in self.lanes.values_mut() {
            lane.close(&self.transition.turns, end);
        }
        let mut transition = self.transition.clone();
        transition.end = end;
        transition.lanes = std::mem::take(&mut self.lanes)
            .into_iter()
            .map(|(thread, lane)| Lane { thread, ..lane })
            .collect();
        Ok(transition)
    }
}

impl Lane {
    /// Says how long each stretch was in which the thread blocked the transition: until
    /// it switched, or the transition was reversed, or ended. It may have been seen more
    /// than once in one.
    fn close(&mut self, turns: &[u64], end: u64) {
        let mut stretches: Vec<Blocked> = Vec::new();
        for mut seen in std::mem::take(&mut self.blocked) {
            let events = self.switches.iter().map(|switch| &switch.time).chain(turns);
            let later = events.filter(|&&time| time >= seen.from);
            seen.to = later.min().copied().unwrap_or(end);
            match stretches.last() {
                Some(last) if last.to == seen.to && last.reason == seen.reason => {}
                _ => stretches.push(seen),
            }
        }
        self.blocked = stretches;
    }
}

impl Transition {
    /// Gives each thread of the demonstration a lane, and a name.
    fn complete(&mut self, names: &BTreeMap<u32, String>) {
        let lanes = std::mem::take(&mut self.lanes);
        let mut found: BTreeMap<u32, Lane> =
            lanes.into_iter().map(|lane| (lane.thread, lane)).collect();
        let lane = |(&thread, name): (&u32, &String)| Lane {
            thread,
            name: name.clone(),
            ..found.remove(&thread).unwrap_or_default()
        };
        self.lanes = names.iter().map(lane).collect();
    }
}
