//! What an observer is told, and when.

use super::{remove, start};
use crate::{check, selftest};
use alloc::{format, sync::Arc};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
        let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let own = flags.clone();
        // Never at a safe point, and never asleep: it blocks every transition.
        let busy = thread::spawn("busy", move || {
            own[0].store(true, Ordering::Relaxed);
            while !own[1].load(Ordering::Relaxed) {
                core::hint::spin_loop();
            }
        });
        let busy = busy.map_err(|error| format!("{error}"))?;
        while !flags[0].load(Ordering::Relaxed) {
            thread::yield_now();
        }
        livepatch::observe(Some(observer));
        let started = start("kinds").map(drop);
        let reversed = livepatch::reverse();
        flags[1].store(true, Ordering::Relaxed);
        livepatch::wait();
        livepatch::observe(None);
        started?;
        reversed.map_err(|error| format!("{error}"))?;
        busy.join().map_err(|error| format!("{error}"))?;
        remove("kinds")?;
        let told = TOLD.each_ref().map(|count| count.load(Ordering::Relaxed));
        check!(told[0] == 1 && told[1] >= 2 && told[2] == 1 && told[3] == 1, "told of {told:?}");
        let late = LATE.load(Ordering::Relaxed);
        check!(late == 0, "{late} events told with interrupts on");
        Ok(())
    }
}
