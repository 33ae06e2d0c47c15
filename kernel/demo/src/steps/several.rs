//! What only several CPUs can show: calls at the same time, and a thread that blocks a transition
//! without ever giving up its CPU.

use super::{Stage, disable, enable, first::show_switches, holder, unload};
use crate::{
    bank,
    cashiers::{self, ACCOUNTS, NAMES, Seen, YEARS},
    events,
    show::heading,
    workload::until,
};
use alloc::{format, string::String};
use core::sync::atomic::Ordering;
use livepatch::Blocked;
use machine::{
    console::{Painted, Tone},
    cpus,
};
use thread::backtrace::Unreliable;

/// The one that stays, and the one that goes on calling.
const STAYS: usize = 1;
const CALLS: usize = 0;

/// Prints what each of the cashiers has seen. Says whether both have called at once.
fn calls_at_once() -> Option<bool> {
    // A busy host may not run two CPUs at the same time for a while.
    const TRIES: usize = 100;
    let at_once = |seen: &[Seen; cashiers::COUNT]| {
        seen[0].cpu != seen[1].cpu && seen.iter().all(|one| one.own > 0 && one.others > 0)
    };
    let mut seen = cashiers::call_together()?;
    for _ in 1..TRIES {
        if at_once(&seen) {
            break;
        }
        seen = cashiers::call_together()?;
    }
    for (name, seen) in NAMES.iter().zip(&seen) {
        println!(
            "    {name:<10} {} calls on CPU {}, and the other made {} meanwhile",
            seen.own, seen.cpu, seen.others
        );
    }
    Some(at_once(&seen))
}

impl Stage {
    /// Shows what several CPUs do at once; says what that is, if there is one.
    pub(super) fn several(&mut self) -> Result<(), String> {
        heading("6. Two CPUs call at the same time, and one of them stays in the old function");
        if cpus::count() == 1 {
            println!(
                "  This machine has one CPU. On two, calls are made at the same time here, and a thread blocks"
            );
            println!("  a transition that never gives up its CPU.");
            println!();
            return Ok(());
        }
        self.handles = cashiers::open().map_err(|error| format!("{error}"))?;
        self.threads = thread::all().map(|thread| thread.id()).collect();
        println!(
            "  Two cashiers call, each with its CPU's interrupts off, so that nothing else runs there:"
        );
        let before = calls_at_once().ok_or("the cashiers do not call at once")?;
        let waited = self.waits_for_a_cpu()?;
        println!("  All have switched, and the two call by the settled stub:");
        let after = calls_at_once().ok_or("the cashiers do not call at once")?;
        let by_new = (0..cashiers::COUNT).all(|who| cashiers::until_answered(who, 2));
        events::lead_to(1);
        disable("two_percent")?;
        self.end()?;
        unload("two_percent")?;
        let handles = core::mem::take(&mut self.handles);
        cashiers::close(handles).map_err(|error| format!("{error}"))?;
        self.found.parallel = Some(before && waited && after && by_new);
        println!();
        Ok(())
    }

    /// A transition that a thread blocks which runs, in the old function. Says whether all was as
    /// it is told.
    fn waits_for_a_cpu(&mut self) -> Result<bool, String> {
        let account = ACCOUNTS[STAYS];
        if !cashiers::have_stay(STAYS) {
            return Err(format!("{} does not stay", NAMES[STAYS]));
        }
        println!(
            "  Now {} stays in the function, and keeps its CPU busy there. two_percent is enabled:",
            NAMES[STAYS]
        );
        let before = synchronised();
        events::lead_to(2);
        drop(enable("two_percent")?);
        self.until_all_but(1)?;
        let id = self.handles[STAYS].thread().id();
        let mut blocked = None;
        let found = until(|| {
            blocked = livepatch::progress().into_iter().find(|one| {
                let runs = Some(Blocked::Unreliable(Unreliable::Runs {
                    cpu: one.thread.cpu(),
                }));
                one.thread.id() == id && one.blocked == runs
            });
            blocked.is_some()
        });
        let blocked = blocked.as_ref().and_then(holder).filter(|_| found);
        let blocked = blocked.ok_or("no CPU blocks the transition")?;
        println!(
            "    {:<10} {}, and blocks the transition",
            blocked.name, blocked.reason
        );
        let (over, all) = (events::switches(false).len(), self.threads.len());
        let new = cashiers::until_answered(CALLS, 2);
        let last = cashiers::tally(CALLS).last.load(Ordering::Relaxed);
        println!(
            "  {over} of {all} threads have switched. On the other CPU, {} gets {} for {YEARS} years.",
            NAMES[CALLS],
            Painted(Tone::New, last)
        );
        let looks = bank::looks(account);
        let stays = until(|| bank::looks(account) > looks) && livepatch::running().is_some();
        bank::unlock(account);
        self.end()?;
        let times = synchronised() - before;
        println!("  It may go on, gets an old answer, and then:");
        show_switches(|switch| switch.thread == id);
        println!(
            "  Meanwhile CPUs were interrupted {times} times (IPI): after each, they see all that was written."
        );
        let went_last = over + 1 == all;
        Ok(new && last == bank::expected(2, YEARS) && stays && times > 0 && went_last)
    }
}

/// How often CPUs have been interrupted to synchronise, since boot.
fn synchronised() -> u64 {
    let place = (cpus::REQUESTS.iter()).position(|&what| what == "synchronise");
    place.map_or(0, |place| cpus::taken()[place])
}
