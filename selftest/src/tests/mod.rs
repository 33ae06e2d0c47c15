//! Tests that run inside the kernel.
//!
//! [`selftest!`](crate::selftest!) puts a test into a section of its own, where
//! the linker collects all of them. Names are the tests' paths below the kernel,
//! and the boot arguments choose among them.

pub mod commands;
mod common;
mod control;
mod debugger;
mod demo;
mod entry;
mod exercises;
mod explore;
mod ftrace;
mod fuzz;
mod heap;
mod in_steps;
mod livepatch;
mod machine;
mod module;
mod names;
mod sanitiser;
mod single_step;
mod text;
mod thread;
mod tracing;
mod translation;

pub use livepatch::soak;

use ::machine::{
    arch,
    console::{self, Painted, Tone},
    cpus, mmu,
};
use alloc::{format, string::String, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use report::{Outcome, Record, Verdict};

/// What a test returns: `Err` with what was found and what was expected.
pub type Result = core::result::Result<(), String>;

/// A registered test.
#[derive(Debug)]
#[repr(C)]
pub struct SelfTest {
    /// The test's path.
    pub path: &'static str,
    /// What it does.
    pub run: fn() -> Result,
    /// A control fails, hangs or crashes on purpose, to show that the runner
    /// notices; or it fails as long as an exercise is not done; or it takes long. It
    /// runs only when it is named in full.
    pub control: bool,
    /// Whether it rests on one CPU alone: that no thread runs while another does, or is taken
    /// off the CPU by it. It is skipped where there are more.
    pub one_cpu: bool,
}

/// For the loops of tests that take long: to the runner, a sign of life.
pub fn goes_on() {
    console::progress("self-tests", 0, 0);
}

/// Registers functions as self-tests: `selftest! { fn name() { ... Ok(()) } }`;
/// with `control;` in front, as controls; with `one_cpu;`, as such that rest on one CPU.
#[macro_export]
macro_rules! selftest {
    (control; $($tests:tt)+) => { $crate::selftest!(@register true, false; $($tests)+); };
    (one_cpu; $($tests:tt)+) => { $crate::selftest!(@register false, true; $($tests)+); };
    (@register $control:literal, $one_cpu:literal; $($(#[doc = $doc:literal])+ fn $name:ident() $body:block)+) => {$(
        $(#[doc = $doc])+
        fn $name() -> $crate::tests::Result $body
        const _: () = {
            #[used]
            #[unsafe(link_section = ".selftests")]
            static TEST: $crate::tests::SelfTest = $crate::tests::SelfTest {
                path: {
                    const PATH: &str = concat!(module_path!(), "::", stringify!($name));
                    // Without "selftest::tests::".
                    PATH.split_at("selftest::tests::".len()).1
                },
                run: $name,
                control: $control,
                one_cpu: $one_cpu,
            };
        };
    )+};
    ($($tests:tt)+) => { $crate::selftest!(@register false, false; $($tests)+); };
}

/// Fails a self-test with a message, unless a condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(alloc::format!($($message)+));
        }
    };
}

/// The boot argument `count`, or zero.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Sets how often tests do what they do again and again; zero leaves it to them.
pub fn set_count(count: u32) {
    COUNT.store(count, Ordering::Relaxed);
}

/// The boot argument `short`.
static SHORT: AtomicBool = AtomicBool::new(false);

/// Lets tests repeat as little as they may, or not.
pub fn be_short(short: bool) {
    SHORT.store(short, Ordering::Relaxed);
}

/// How often a test is to do what it does again and again.
fn rounds(usual: u32) -> u32 {
    match COUNT.load(Ordering::Relaxed) {
        0 => usual,
        count => count,
    }
}

/// How often a test repeats what is the same on every processor and by whatever tables: often on one shape
/// of machine, which each run of all tests comes to, and elsewhere a few times.
struct Repeats {
    /// On one POWER9 CPU, with a radix tree.
    all: u64,
    /// Elsewhere.
    few: u64,
}

impl Repeats {
    /// How often on this machine.
    fn here(&self) -> u64 {
        if is_usual_shape() { self.all } else { self.few }
    }
}

/// Whether this is the shape of machine on which nothing is left out, and nothing else was asked for.
fn is_usual_shape() -> bool {
    const POWER9: u32 = 0x004e;
    !SHORT.load(Ordering::Relaxed)
        && cpus::count() == 1
        && mmu::kind() == mmu::Kind::Radix
        && arch::processor_version() >> 16 == POWER9
}

/// All tests, in the order of their paths.
fn all() -> Vec<&'static SelfTest> {
    // SAFETY: the linker script puts the section between the two symbols, and
    // only `selftest!` puts anything there: `SelfTest`s.
    let tests = unsafe { ::machine::collected!(SelfTest, __selftests_start, __selftests_end) };
    let mut tests: Vec<_> = tests.iter().collect();
    tests.sort_unstable_by_key(|test| test.path);
    tests
}

/// The tests that the patterns choose.
///
/// # Errors
/// The first pattern that chooses none.
fn chosen<'a>(patterns: &[&'a str]) -> core::result::Result<Vec<&'static SelfTest>, &'a str> {
    let named = |test: &SelfTest| patterns.contains(&test.path);
    let is_chosen =
        |test: &SelfTest| named(test) || (!test.control && bootargs::select(patterns, test.path));
    let all = all();
    for pattern in patterns {
        if !all
            .iter()
            .any(|test| is_chosen(test) && bootargs::select(&[pattern], test.path))
        {
            return Err(pattern);
        }
    }
    Ok(all.into_iter().filter(|test| is_chosen(test)).collect())
}

fn no_such_test(pattern: &str) -> Verdict {
    println!(
        "boot argument `test={pattern}`: names no self-test; allowed: a path, a path's start up to `::`, or a pattern with `*`; `mode=list` prints them"
    );
    Verdict::BadArgument
}

/// Prints the paths of the chosen tests, and of all controls.
pub fn list(patterns: &[&str]) -> Verdict {
    let tests = match chosen(patterns) {
        Ok(tests) => tests,
        Err(pattern) => return no_such_test(pattern),
    };
    for test in tests {
        println!("{}", test.path);
    }
    for control in all()
        .iter()
        .filter(|test| test.control && patterns.is_empty())
    {
        println!("{} (only by its full name)", control.path);
    }
    Verdict::Passed
}

/// Runs the chosen tests.
pub fn run(patterns: &[&str]) -> Verdict {
    let verdict = run_while(patterns, || true);
    if verdict == Verdict::Passed {
        // The first that is not ends the run.
        let pairs = ::machine::lock_order::pairs().count();
        println!("{pairs} pairs of locks were taken in order");
    }
    verdict
}

/// Whether a pattern chooses any test that is no control.
#[must_use]
pub fn is_any(pattern: &str) -> bool {
    chosen(&[pattern]).is_ok_and(|tests| tests.iter().any(|test| !test.control))
}

/// Tells that a test is not for this machine.
fn skip(path: &str) {
    println!("test {path} ... skipped: for one CPU");
    console::report(&Record::Test {
        name: path,
        outcome: Outcome::Skip,
        message: "for one CPU",
        ticks: 0,
    });
}

/// Runs a test, and tells what came of it.
fn run_one(path: &str, run: impl FnOnce() -> Result) -> Result {
    print!("test {path} ... ");
    let start = arch::timebase();
    let result = run();
    let ticks = arch::timebase() - start;
    let (outcome, message) = match &result {
        Ok(()) => (Outcome::Pass, ""),
        Err(message) => (Outcome::Fail, message.as_str()),
    };
    match &result {
        Ok(()) => println!("{}", Painted(Tone::Good, "ok")),
        Err(message) => println!("{}: {message}", Painted(Tone::Bad, "FAILED")),
    }
    console::report(&Record::Test {
        name: path,
        outcome,
        message,
        ticks,
    });
    result
}

/// Runs the chosen tests for as long as it is to go on, which it asks between two.
pub fn run_while(patterns: &[&str], mut goes_on: impl FnMut() -> bool) -> Verdict {
    let tests = match chosen(patterns) {
        Ok(tests) => tests,
        Err(pattern) => return no_such_test(pattern),
    };
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let mut count = |result| match result {
        Ok(()) => passed += 1,
        Err(_) => failed += 1,
    };
    if let Some(error) = loader::initrd_error() {
        // Once, and not by each test that needs a module.
        count(run_one("initrd", || Err(format!("{error}"))));
    } else {
        for test in tests {
            if !goes_on() {
                count(Err(String::new()));
                break;
            }
            if test.one_cpu && cpus::count() > 1 {
                skip(test.path);
                skipped += 1;
                continue;
            }
            count(run_one(test.path, test.run));
        }
    }
    console::report(&Record::Summary {
        passed,
        failed,
        skipped,
    });
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 {
        Verdict::Passed
    } else {
        Verdict::ChecksFailed
    }
}
