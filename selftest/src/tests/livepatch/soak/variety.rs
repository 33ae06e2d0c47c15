//! One transition of the soak, and what else happens meanwhile.

use super::{Soak, load, text_of};
use crate::{check, tests::livepatch::file};
use alloc::{format, string::String, vec::Vec};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use ftrace::{Filter, Flags, Ops, Site};
use layout::CallFrame;
use livepatch::Options;
use machine::{arch, cpus};

static TRACED: AtomicU64 = AtomicU64::new(0);
static TRACER: Ops = Ops::new("soak", trace, Flags::RECURSION_SAFE);

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn trace(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    TRACED.fetch_add(1, Ordering::Relaxed);
}

/// One in so many stretches of sixteen is one in which no thread sleeps. Odd, so that each of the ways
/// below has its turn in one.
const BUSY: u32 = 65;

/// Where the tracer goes. Looked up once: the names of all sites take longer than many transitions.
pub(super) fn traced() -> Result<Vec<Site>, String> {
    let filter = Filter::only(&["*soak::functions::*", "c_leaf", "c_into_rust"]);
    let table = ftrace::sites();
    let chosen = filter.choose(&table).map_err(|error| format!("{error}"))?;
    check!(!chosen.is_empty(), "the soak's functions have no sites");
    Ok(chosen.into_iter().map(|place| table[place]).collect())
}

impl Soak {
    /// Enables the patch and disables it, in one of several ways.
    pub(super) fn transition(&mut self, index: u32) -> Result<(), String> {
        load::be_calm(cpus::count() > 1 && index / 16 % BUSY != BUSY / 2);
        match index % 64 {
            8 => self.with_new_threads(),
            24 => self.with_tracer(),
            40 => self.with_second_patch(index & 64 != 0),
            56 if index & 128 != 0 => {
                self.unload()?;
                self.load()
            }
            // A prime, so that it meets all of the above.
            _ if index.is_multiple_of(7) => self.with_reversal(),
            _ => Ok(()),
        }?;
        self.enable()?;
        self.settle();
        self.disable()?;
        self.settle();
        Ok(())
    }

    fn enable(&self) -> Result<(), String> {
        let module = self.module.as_ref().ok_or("no module")?;
        livepatch::enable(module, Options::default())
            .map(drop)
            .map_err(text_of)
    }

    fn disable(&self) -> Result<(), String> {
        livepatch::disable("soak").map_err(text_of)
    }

    /// Waits for the end of the transition that runs.
    fn settle(&mut self) {
        livepatch::wait();
        self.transitions += 1;
    }

    /// Some threads end and others begin while the patch is on its way in.
    fn with_new_threads(&mut self) -> Result<(), String> {
        const SOME: usize = 4;
        self.enable()?;
        for _ in 0..SOME {
            self.spawn()?;
            let oldest = self.workers.remove(0);
            oldest.stop(&mut self.calls, &mut self.rounds)?;
        }
        self.settle();
        self.disable()?;
        self.spawn()?;
        self.settle();
        let oldest = self.workers.remove(0);
        oldest.stop(&mut self.calls, &mut self.rounds)
    }

    /// A tracer comes in one transition and goes in another.
    fn with_tracer(&mut self) -> Result<(), String> {
        let traced = TRACED.load(Ordering::Relaxed);
        self.enable()?;
        ftrace::register_at_all(&TRACER, &self.traced).map_err(|error| format!("{error}"))?;
        self.settle();
        // Calls are traced and patched. All threads may be asleep for a while; if none comes, the
        // run is silent, and the watchdog says where they are.
        while TRACED.load(Ordering::Relaxed) == traced {
            thread::sleep(Duration::from_millis(1));
        }
        self.disable()?;
        ftrace::unregister(&TRACER).map_err(|error| format!("{error}"))?;
        self.settle();
        Ok(())
    }

    /// A second patch on top, which goes first or last.
    fn with_second_patch(&mut self, first: bool) -> Result<(), String> {
        self.enable()?;
        self.settle();
        let second = loader::load(file("soak2")?).map_err(|error| format!("{error}"))?;
        livepatch::enable(&second, Options::default())
            .map(drop)
            .map_err(text_of)?;
        self.settle();
        for _ in 0..2 {
            thread::yield_now();
        }
        let order = if first {
            ["soak2", "soak"]
        } else {
            ["soak", "soak2"]
        };
        for name in order {
            livepatch::disable(name).map_err(text_of)?;
            self.settle();
        }
        self.take_counts(&second, 2)?;
        drop(second);
        livepatch::unload("soak2").map_err(text_of)
    }

    /// Turns round half-way: threads that have switched go back.
    fn with_reversal(&mut self) -> Result<(), String> {
        self.enable()?;
        if livepatch::reverse().is_ok() {
            self.reversed += 1;
            // And perhaps a second time.
            if arch::timebase() & 1 == 0 && livepatch::reverse().is_ok() {
                self.reversed += 1;
            }
        }
        self.settle();
        if livepatch::find("soak").is_some() {
            self.disable()?;
            self.settle();
        }
        Ok(())
    }
}
