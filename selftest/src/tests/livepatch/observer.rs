//! What an observer is told, and when.

use super::{remove, start, text};
use crate::{check, selftest};
use core::sync::atomic::{AtomicUsize, Ordering};
use lab::bench::Busy;
use livepatch::Event;
use machine::arch;

/// Events of each kind: started, switched, reversed, ended.
static TOLD: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

/// Switches and reversals that others could have come before.
static LATE: AtomicUsize = AtomicUsize::new(0);

fn observer(event: &Event<'_>) {
    let kind = match event {
        Event::Started { .. } => 0,
        Event::Switched { .. } => 1,
        Event::Reversed { .. } => 2,
        Event::Ended { .. } => 3,
    };
    TOLD[kind].fetch_add(1, Ordering::Relaxed);
    if matches!(event, Event::Switched { .. } | Event::Reversed { .. }) && arch::interrupts_are_on()
    {
        LATE.fetch_add(1, Ordering::Relaxed);
    }
}

selftest! {
    /// Switches and reversals are told before anything else can happen.
    fn in_order() {
        let busy = Busy::start()?;
        livepatch::observe(Some(observer));
        let started = start("kinds").map(drop);
        let reversed = livepatch::reverse();
        busy.end()?;
        livepatch::wait();
        livepatch::observe(None);
        started?;
        reversed.map_err(text)?;
        remove("kinds")?;
        let told = TOLD.each_ref().map(|count| count.load(Ordering::Relaxed));
        check!(told[0] == 1 && told[1] >= 2 && told[2] == 1 && told[3] == 1, "told of {told:?}");
        let late = LATE.load(Ordering::Relaxed);
        check!(late == 0, "{late} events told with interrupts on");
        Ok(())
    }
}
