//! All sites at once.

use super::{Counter, site_of, text};
use crate::{
    check,
    tests::{Repeats, goes_on},
};
use alloc::{format, string::String, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};
use ftrace::{Filter, Flags};
use lab::targets::{self, CALLS};
use machine::{arch, text as code, time};

static EVERYWHERE: Counter = Counter::new("everywhere", Flags::ALL_REGISTERS);

/// All of the kernel's words.
fn image() -> Vec<u32> {
    let text = code::kernel_text();
    (text.start..text.end).step_by(4).map(code::read).collect()
}

/// How often `toggling_under_interrupts` toggles all sites.
const TOGGLES: Repeats = Repeats { all: 200, few: 20 };

crate::selftest! {
    /// With every site traced, a workload gives what it gave before; afterwards
    /// the text is byte for byte what it was.
    fn everything_traced_at_once() {
        let seeds = 0..200;
        let before = image();
        let expected: Vec<u64> = seeds.clone().map(targets::workload).collect();
        let counted = CALLS.leaf.load(Ordering::Relaxed);
        let sites = ftrace::register(&EVERYWHERE.ops, &Filter::all()).map_err(text)?;
        let found: Vec<u64> = seeds.map(targets::workload).collect();
        let formatted = format!("{:?} {:>8} {:#x}", &found[..3], "text", 12_345);
        ftrace::unregister(&EVERYWHERE.ops).map_err(text)?;
        let counted = CALLS.leaf.load(Ordering::Relaxed) - counted;
        let hits = EVERYWHERE.take();
        check!(sites == ftrace::sites().len(), "{sites} of {} sites", ftrace::sites().len());
        check!(found == expected, "the workload's results changed");
        check!(formatted == format!("{:?} {:>8} {:#x}", &expected[..3], "text", 12_345), "{formatted}");
        check!(counted == 200 && hits > 9 * counted, "{hits} hits, {counted} calls of leaf");
        let after = image();
        let changed = before.iter().zip(&after).position(|(one, other)| one != other);
        check!(changed.is_none(), "text differs at {:#x}", code::kernel_text().start + 4 * changed.unwrap_or(0) as u64);
        Ok(())
    }

    /// Every function's hits are the calls that it has counted itself.
    fn hits_equal_calls() {
        // Function, its own counter, and how many calls a workload of seed 5 makes.
        let targets: [(&str, &AtomicU64); 5] = [
            ("lab::targets::leaf", &CALLS.leaf),
            ("lab::targets::sum12", &CALLS.sum12),
            ("lab::targets::recursive", &CALLS.recursive),
            ("lab::targets::inner", &CALLS.inner),
            ("rust_twice", &CALLS.twice),
        ];
        for (path, calls) in targets {
            goes_on();
            let before = calls.load(Ordering::Relaxed);
            ftrace::register(&EVERYWHERE.ops, &Filter::only(&[path])).map_err(text)?;
            for seed in 0..100 {
                targets::workload(seed);
            }
            ftrace::unregister(&EVERYWHERE.ops).map_err(text)?;
            let (hits, calls) = (EVERYWHERE.take(), calls.load(Ordering::Relaxed) - before);
            check!(hits == calls && hits >= 100, "{path}: {hits} hits, {calls} calls");
        }
        Ok(())
    }

    /// All sites are toggled again and again while interrupts run through them.
    fn toggling_under_interrupts() {
        let tick = site_of(time::tick as *const () as u64)?;
        let before = image();
        let ticks = time::ticks();
        let start = arch::timebase();
        for round in 0..TOGGLES.here() {
            goes_on();
            ftrace::register(&EVERYWHERE.ops, &Filter::all()).map_err(text)?;
            let result = targets::workload(round);
            ftrace::unregister(&EVERYWHERE.ops).map_err(text)?;
            check!(result == targets::workload(round), "the workload's result changed in round {round}");
        }
        let took = time::duration(arch::timebase() - start);
        let ticks = time::ticks() - ticks;
        check!(ticks > 0, "no interrupt came in {took:?}");
        check!(image() == before, "the text is not what it was");
        check!(code::read(tick.address) == ppc64::insn::NOP, "time::tick is still traced");
        EVERYWHERE.take();
        Ok::<(), String>(())
    }
}
