//! Costs of threads.

use super::{Problem, Rows, cost_of};
use alloc::format;
use machine::arch;

/// How often a thread gives way in one measurement.
const SWITCHES: u64 = 1000;

pub(super) fn measure(rows: &mut Rows) -> Result<(), Problem> {
    let other = thread::spawn("bench", || {
        let _off = arch::interrupts_off();
        for _ in 0..=SWITCHES {
            thread::yield_now();
        }
    });
    let other = other.map_err(|error| format!("{error}"))?;
    let off = arch::interrupts_off();
    // To where the other waits for its turn again.
    thread::yield_now();
    let (switches, ()) = cost_of(|| (0..SWITCHES).for_each(|_| thread::yield_now()));
    drop(off);
    other.join().map_err(|error| format!("{error}"))?;
    let lifetime = || {
        let (cost, result) = cost_of(|| thread::spawn("bench", || ()).map(thread::Handle::join));
        match result {
            Ok(Ok(())) => Ok(cost),
            Ok(Err(error)) => Err(format!("{error}")),
            Err(error) => Err(format!("{error}")),
        }
    };
    // The first time makes tables that stay.
    lifetime()?;
    let lifetime = lifetime()?;
    let about = "from one thread to another, by yield_now";
    rows.add("context_switch", about, switches / (2 * SWITCHES), None);
    rows.add("spawn_join", "a thread that does nothing", lifetime, None);
    Ok(())
}
