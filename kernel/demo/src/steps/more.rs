//! The last act: more patches come and go.

use super::{Stage, disable, enable, unload};
use crate::{
    bank, events,
    show::{self, heading},
    workload::{self, BROKER, SLEEPER, TELLER},
};
use alloc::{format, string::String, sync::Arc};
use livepatch::Status;
use machine::console::{Painted, Tone};
use thread::Thread;

/// Has the broker ask for one year, and prints what happened and the answer. Says
/// whether it is that of a rate.
fn report(what: &str, rate: u64, tone: Tone) -> bool {
    let answer = workload::ask(BROKER).unwrap_or(0);
    let right = answer == bank::expected(rate, 1);
    println!(
        "  {what:<66} {}",
        Painted(tone, format_args!("the broker asks: {answer}"))
    );
    right
}

/// The names of the patches that are enabled.
fn enabled() -> String {
    let patches = livepatch::patches();
    let names = patches
        .iter()
        .filter(|(_, status)| *status == Status::Enabled)
        .map(|(patch, _)| patch.name());
    names.fold(String::new(), |list, name| format!("{list} {name}"))
}

impl Stage {
    pub(super) fn more(&mut self) -> Result<(), String> {
        println!();
        heading("5. Patches can be stacked, replaced, taken back half-way, and removed");
        self.stacked()?;
        self.replaced()?;
        self.reversed()?;
        self.removed()
    }

    fn stacked(&mut self) -> Result<(), String> {
        drop(self.begin(3, || enable("three_percent"))?);
        self.end()?;
        let on_top = report("three_percent comes on top of two_percent:", 3, Tone::New);
        let both = enabled() == " two_percent three_percent";
        self.begin(2, || disable("three_percent"))?;
        self.end()?;
        let below = report(
            "three_percent goes, and two_percent is there again:",
            2,
            Tone::New,
        );
        unload("three_percent")?;
        self.found.stacked = on_top && both && below;
        Ok(())
    }

    fn replaced(&mut self) -> Result<(), String> {
        drop(self.begin(4, || enable("four_percent"))?);
        self.end()?;
        let alone = enabled();
        let answer = report("four_percent takes the place of all others:", 4, Tone::New);
        self.found.replaced = answer && alone == " four_percent";
        unload("two_percent")
    }

    /// Turns a blocked transition round.
    fn reversed(&mut self) -> Result<(), String> {
        if !workload::send_to_sleep(SLEEPER, &self.handles) {
            return Err("the sleeper does not fall asleep in the patch".into());
        }
        println!("  The sleeper sleeps in four_percent now, and three_percent comes:");
        drop(self.begin(3, || enable("three_percent"))?);
        self.until_all_but(1)?;
        let held = self.show_held(&[SLEEPER]);
        let (over, all) = (events::switches(false).len(), self.threads.len());
        let what = format!("{over} of {all} threads have switched:");
        let new = report(&what, 3, Tone::New);
        livepatch::reverse().map_err(|error| format!("{error}"))?;
        self.until_switched(TELLER, true)?;
        self.end()?;
        let back = events::switches(true).len();
        let number = events::number();
        let is_left = |thread: &Arc<Thread>| thread.patch_state() == number;
        let left = thread::all().filter(is_left).count();
        let what = format!("It is turned round: {back} went back, {left} were left there:");
        let old = report(&what, 4, Tone::Old);
        let gone = enabled() == " four_percent" && livepatch::patches().len() == 1;
        bank::unlock(SLEEPER);
        let left_it = workload::finish(SLEEPER);
        self.found.reversed =
            held && new && old && gone && left_it && back == over && left == 0 && over > 0;
        unload("three_percent")
    }

    fn removed(&mut self) -> Result<(), String> {
        self.begin(1, || disable("four_percent"))?;
        self.end()?;
        let gone = livepatch::patches().is_empty();
        let answer = report("four_percent goes too, and no patch is left:", 1, Tone::Old);
        self.found.replaced &= gone && answer;
        unload("four_percent")?;
        show::toggled(&self.site, "the site, as it was");
        println!();
        Ok(())
    }
}
