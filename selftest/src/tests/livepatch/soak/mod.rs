//! The soak: a patch is enabled and disabled again and again, while threads call its
//! functions in every way there is, and count.
//!
//! Three counts are compared in the end: what the threads have called, and which
//! version has answered; what the originals have counted; what the new functions
//! have counted, in their modules. Within a round, which has no safe point inside,
//! all functions of a patch must be of one version.

mod variety;
mod watchdog;

use super::file;
use crate::check;
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::{mem, time::Duration};
use ftrace::Site;
use lab::soak::{
    self as load, Calls, Worker,
    functions::{self, FUNCTIONS},
};
use livepatch::{LivepatchError, variants};
use loader::Module;
use machine::{
    arch, console,
    log::{self, LevelFilter},
    mm, text, time,
};
use report::{Record, Verdict};

/// How many threads call.
const THREADS: u64 = 64;

/// After so many transitions, everything has happened that happens from time to
/// time, and every table has the size that it keeps.
const WARM_UP: u32 = 256;

/// How often progress is shown.
const SHOWN: Duration = Duration::from_secs(5);

/// What must be the same after the soak as before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Footprint {
    heap_free: usize,
    code_used: usize,
    retired: usize,
    /// Of the kernel's text.
    checksum: u64,
}

impl Footprint {
    fn now() -> Self {
        ftrace::wait_for_retired();
        let text = text::kernel_text();
        let words = (text.start..text.end).step_by(4).map(text::read);
        Self {
            heap_free: mm::usage().free,
            code_used: mm::code::used(),
            retired: ftrace::retired(),
            // FNV-1a, a word at a time.
            checksum: words.fold(0xcbf2_9ce4_8422_2325, |sum: u64, word| {
                (sum ^ u64::from(word)).wrapping_mul(0x100_0000_01b3)
            }),
        }
    }
}

/// One soak.
#[derive(Debug)]
struct Soak {
    workers: Vec<Worker>,
    /// The patch's module, loaded throughout but for moments.
    module: Option<Arc<Module>>,
    /// Where a tracer comes and goes.
    traced: Vec<Site>,
    /// Counted by threads that have ended.
    calls: Calls,
    rounds: u64,
    /// Counted by the new functions in modules that have been unloaded.
    answered: Calls,
    /// Transitions that have ended: each in or out.
    transitions: u32,
    /// How often one was turned round on its way.
    reversed: u32,
    seed: u64,
}

/// Goes round `count` times, after a warm-up.
pub fn run(count: u32) -> Verdict {
    functions::keep();
    let level = log::max_level();
    log::set_max_level(level.min(LevelFilter::Warn));
    let result = soak(count);
    log::set_max_level(level);
    match result {
        Ok(()) => Verdict::Passed,
        Err(what) => {
            println!("soak: {what}");
            Verdict::ChecksFailed
        }
    }
}

fn soak(count: u32) -> Result<(), String> {
    let mut soak = Soak {
        workers: Vec::with_capacity(THREADS as usize),
        module: None,
        traced: variety::traced()?,
        calls: Calls::default(),
        rounds: 0,
        answered: Calls::default(),
        transitions: 0,
        reversed: 0,
        seed: 0x9e37_79b9_7f4a_7c15,
    };
    soak.go(WARM_UP)?;
    let before = Footprint::now();
    let start = arch::timebase();
    soak.go(count)?;
    let seconds = time::duration(arch::timebase() - start);
    let after = Footprint::now();
    check!(after == before, "before: {before:x?}, after: {after:x?}");
    soak.compare()?;
    let calls: u64 = soak.calls.iter().flatten().sum();
    println!(
        "soak: {} transitions by variant `{}`, turned round {} times; {calls} calls in {} rounds; {} s",
        soak.transitions,
        variants::current().name,
        soak.reversed,
        soak.rounds,
        seconds.as_secs()
    );
    for (name, value) in [
        ("soak_transitions", u64::from(soak.transitions)),
        ("soak_reversed", u64::from(soak.reversed)),
        ("soak_calls", calls),
        ("soak_seconds", seconds.as_secs()),
    ] {
        let unit = if name == "soak_seconds" {
            "seconds"
        } else {
            "times"
        };
        console::report(&Record::Measure { name, unit, value });
    }
    for (name, calls) in functions::NAMES.iter().zip(&soak.calls) {
        println!("  {name:<12} {calls:?}");
    }
    Ok(())
}

fn text_of(error: LivepatchError) -> String {
    format!("{error}")
}

impl Soak {
    /// Starts the threads, goes round, and ends the threads.
    fn go(&mut self, count: u32) -> Result<(), String> {
        for _ in 0..THREADS {
            self.spawn()?;
        }
        self.load()?;
        let watchdog = watchdog::start()?;
        let mut shown = arch::timebase();
        for index in 1..=count {
            watchdog::feed();
            self.transition(index)?;
            console::progress("soak", index, count);
            if let Some(mistake) = load::mistake() {
                return Err(format!("after {} transitions: {mistake}", self.transitions));
            }
            if arch::timebase() - shown > time::timebase_ticks(SHOWN) {
                shown = arch::timebase();
                println!("soak: {index} of {count}");
            }
        }
        watchdog::stop(watchdog)?;
        self.unload()?;
        for worker in mem::take(&mut self.workers) {
            worker.stop(&mut self.calls, &mut self.rounds)?;
        }
        // With the capacity that it had.
        self.workers.reserve(THREADS as usize);
        load::mistake().map_or(Ok(()), Err)
    }

    fn spawn(&mut self) -> Result<(), String> {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.workers.push(Worker::start(self.seed | 1)?);
        Ok(())
    }

    fn load(&mut self) -> Result<(), String> {
        let module = loader::load(file("soak")?).map_err(|error| format!("{error}"))?;
        self.module = Some(module);
        Ok(())
    }

    /// Unloads the patch's module, and remembers what it has counted.
    fn unload(&mut self) -> Result<(), String> {
        let Some(module) = self.module.take() else {
            return Ok(());
        };
        self.take_counts(&module, 1)?;
        drop(module);
        livepatch::unload("soak").map_err(text_of)
    }

    /// Adds what a patch's functions have counted. No thread can be in them any more.
    fn take_counts(&mut self, module: &Module, version: usize) -> Result<(), String> {
        let path = format!("{}::counted", module.name);
        let counted = module.function(&path).ok_or("a patch has no `counted`")?;
        // SAFETY: the module's function of this name is of this type, and the module
        // is loaded.
        let counted: extern "C" fn(u64) -> u64 = unsafe { mem::transmute(counted) };
        for (function, answered) in self.answered.iter_mut().enumerate() {
            answered[version] += counted(function as u64);
        }
        Ok(())
    }

    /// Compares the three counts.
    fn compare(&self) -> Result<(), String> {
        for function in 0..FUNCTIONS {
            let name = functions::NAMES[function];
            let mut expected = self.calls[function];
            expected[0] = functions::called(function, |function| self.calls[function][0]);
            if name == "c_leaf" {
                // By the new `slow`.
                expected[1] += 2 * self.calls[functions::SLOW][1];
            }
            let mut found = self.answered[function];
            found[0] = functions::counted(function).unwrap_or(expected[0]);
            check!(
                found == expected,
                "`{name}`: the versions have counted {found:?} calls, the threads {expected:?}"
            );
            check!(
                expected[..2].iter().all(|&calls| calls > 0),
                "`{name}` was not called"
            );
        }
        Ok(())
    }
}
