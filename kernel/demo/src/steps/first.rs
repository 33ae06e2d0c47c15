//! The first steps: one patch comes.

use super::{Stage, enable};
use crate::{
    bank,
    bank::PAID_IN,
    events::{self, Switch},
    show::{self, heading},
    workload::{self, ABOUT, BROKER, CALLERS, CLOCK, NAMES, PLANNER, SLEEPER, TELLER},
};
use alloc::{
    format,
    string::{String, ToString},
};
use core::sync::atomic::Ordering;
use livepatch::variants;
use machine::{
    arch,
    console::{Painted, Tone},
    cpus, platform, time,
};

impl Stage {
    /// Shows who is at work, and waits until two of them sleep in the function.
    pub(super) fn at_work(&mut self) -> Result<(), String> {
        let cpu = platform::get().cpu;
        println!();
        heading("1. A bank is open, and its threads call one function");
        println!(
            "  It is {}(account, years), in a kernel on {cpu}: what {PAID_IN}",
            self.site.path()
        );
        println!("  coins become in so many years, at one percent interest a year. Its callers:");
        for (name, about) in NAMES.iter().zip(ABOUT) {
            println!("    {name:<10} {about}");
        }
        let answer = workload::ask(BROKER);
        let all = [SLEEPER, PLANNER].map(workload::ask);
        if answer.is_none() || all.contains(&None) || !workload::until_answered(1) {
            return Err("a caller gets no answer".into());
        }
        let answer = answer.unwrap_or(0);
        println!(
            "  The broker asks for one year: {}",
            Painted(Tone::Old, answer)
        );
        for who in [SLEEPER, PLANNER] {
            if !workload::send_to_sleep(who, &self.handles) {
                return Err(format!("{} does not fall asleep", NAMES[who]));
            }
        }
        println!(
            "  Now the accounts of sleeper and planner are locked, and both sleep in the function."
        );
        Ok(())
    }

    /// Shows the function's entry.
    pub(super) fn before(&self) {
        println!();
        heading("2. The function's entry has room for a call");
        show::entry(&self.site, "the site: room for a call");
        let toc = arch::kernel_toc();
        println!("  The kernel's TOC pointer (r2, the way to its data) is {toc:#x}.");
    }

    /// Enables a patch, and follows its transition.
    pub(super) fn enabled(&mut self) -> Result<(), String> {
        println!();
        heading("3. Patch two_percent is enabled, and threads switch one by one");
        let patch = self.begin(2, || enable("two_percent"))?;
        self.until_all_but(2)?;
        let mut functions = patch.descriptor.replacements.iter();
        let new = functions.next().map_or(0, |one| one.new);
        let range = patch.module.range();
        println!(
            "  Its module is at {:#x} to {:#x}, its TOC pointer is {:#x}, its function at {new:#x}.",
            range.start, range.end, patch.module.toc
        );
        println!(
            "  The site sends all calls to a trampoline, which asks on which side their thread is:"
        );
        show::toggled(&self.site, "old or new?");
        println!("  These could switch at once:");
        show_switches(|_| true);
        println!("  These block the transition: the old function is on their stacks.");
        let looks = bank::looks(PLANNER);
        bank::look_again();
        let asked = workload::until(|| bank::looks(PLANNER) > looks);
        let both = self.show_held(&[SLEEPER, PLANNER]);
        let running = livepatch::running();

        let answer = workload::ask(BROKER).unwrap_or(0);
        println!(
            "  Meanwhile the broker asks for one year: {}, and for the planner nothing has changed.",
            Painted(Tone::New, answer)
        );
        let between = events::switches(false).len();
        for who in [PLANNER, SLEEPER] {
            bank::unlock(who);
            self.until_switched(who, false)?;
        }
        let last = workload::tally(PLANNER).last.load(Ordering::Relaxed);
        println!(
            "  Their accounts are unlocked. The planner leaves with {}, all by the old rate, and then:",
            Painted(Tone::Old, last)
        );
        let (sleeper, planner) = (self.id(SLEEPER), self.id(PLANNER));
        show_switches(|switch| [sleeper, planner].contains(&switch.thread));
        self.end()?;
        let new_answer = answer == bank::expected(2, 1);
        let old_answer = last == bank::expected(1, 20);
        let went_last = between + 2 == events::switches(false).len();
        let waited = both && asked && running.is_some() && went_last;
        self.found.blocked = waited && new_answer && old_answer;

        println!("  All have switched: the transition has ended, and calls take the short way:");
        let (start, end) = livepatch::way_of(self.site.function()).unwrap_or((0, 0));
        show::toggled(&self.site, "to the stub:");
        self.found.settled = show::stub(self.site.function()) && start < end;
        let variant = variants::current();
        println!(
            "  It ends in the hand-off, by variant `{}` (A calls B, and gets to C):",
            variant.name
        );
        println!("    {}", variant.about);
        Ok(())
    }

    /// Shows the answers of each caller.
    pub(super) fn answers(&mut self) {
        // More of the new answers, from each caller.
        let all = [SLEEPER, PLANNER, BROKER].map(workload::ask);
        let answered = workload::until_answered(2) && !all.contains(&None);
        self.found.blocked &= answered;
        println!();
        heading("4. Each caller's answers are old up to its switch, and new from there on");
        println!("    caller           old       new    neither   switched");
        let switches = events::switches(false);
        for (who, name) in NAMES.iter().enumerate().take(CALLERS) {
            let tally = workload::tally(who);
            let [_, old, new, ..] = tally.counts();
            let bad = tally.bad();
            let when = match self.handles.get(who).map(|handle| handle.thread().id()) {
                Some(id) => switches
                    .iter()
                    .find(|switch| switch.thread == id)
                    .map_or("never".to_string(), when),
                None => "with the thread it interrupts".to_string(),
            };
            println!(
                "    {name:<10} {} {} {} {when}",
                Painted(Tone::Old, format_args!("{old:>9}")),
                Painted(Tone::New, format_args!("{new:>9}")),
                Painted(
                    if bad == 0 { Tone::Good } else { Tone::Bad },
                    format_args!("{bad:>9}  ")
                ),
            );
            if who == CLOCK || who == TELLER {
                self.found.blocked &= old > 0 && new > 0;
            }
        }
        println!(
            "  `Neither` would be interest at mixed rates, or the answer of the thread's other side."
        );
    }
}

/// When a thread switched.
fn when(switch: &Switch) -> String {
    format!("after {:.1?}", time::duration(switch.after))
}

/// Prints who has switched, those that are asked for; with several CPUs, also where each is.
pub(super) fn show_switches(wanted: impl Fn(&Switch) -> bool) {
    for switch in events::switches(false)
        .iter()
        .filter(|switch| wanted(switch))
    {
        let how = format!("{}", switch.how);
        print!("    {:<10} {how:<26} {}", switch.name, when(switch));
        if cpus::count() > 1 {
            print!(", CPU {}", switch.cpu);
        }
        println!();
    }
}
