//! What a test must leave behind: nothing.

use crate::{check, tests::common::limit};
use alloc::{string::String, vec, vec::Vec};
use core::time::Duration;
use lab::targets::live;
use livepatch as klp;
use livepatch::shadow;
use machine::{arch, mm, text, time};

/// What must be after a test as it was before.
#[derive(Debug, Eq, PartialEq)]
struct Traces {
    heap: usize,
    code: usize,
    text: u64,
    retired: usize,
    shadows: usize,
    threads: usize,
    modules: usize,
    patches: usize,
    level: u64,
}

impl Traces {
    fn now() -> Self {
        Self {
            modules: loader::loaded().len(),
            patches: klp::patches().len(),
            text: checksum(),
            retired: ftrace::retired(),
            shadows: shadow::count(),
            threads: thread::count(),
            level: live::level(),
            code: mm::code::used(),
            heap: mm::usage().used,
        }
    }
}

/// A number that all words of the kernel's text go into.
fn checksum() -> u64 {
    let text = text::kernel_text();
    (text.start..text.end)
        .step_by(8)
        .fold(0, |sum: u64, address| {
            // SAFETY: the kernel's text, which begins and ends at multiples of 8.
            let word = unsafe { (address as *const u64).read_volatile() };
            (sum ^ word)
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(7)
        })
}

/// Lets tables that keep their room grow to what the tests need.
fn warm_up() -> Result<(), String> {
    static DONE: spin::Once<Result<(), String>> = spin::Once::new();
    let result = DONE.call_once(|| {
        live::be_quiet(true);
        let result = super::quietly(|| (0..2).try_for_each(|_| one_of_each()));
        live::be_quiet(false);
        result
    });
    result.clone()
}

/// Patches that replace functions of modules, which some variants can't.
const OF_MODULES: [&str; 3] = [
    "test_klp_mod_patch",
    "test_klp_callbacks_demo",
    "test_klp_callbacks_demo2",
];

/// Many threads, a tracer, a shadow variable, all patches at once.
fn one_of_each() -> Result<(), String> {
    let nap = || thread::sleep(Duration::from_millis(2));
    let naps: Vec<_> = (0..64).map(|_| thread::spawn("warm-up", nap)).collect();
    for nap in naps {
        nap.map_err(super::text)?.join().map_err(super::text)?;
    }
    for tracer in ["function", "function_graph", "nop"] {
        tracing::write("current_tracer", tracer).map_err(super::text)?;
    }
    tracing::write("trace", "").map_err(super::text)?;
    let one = core::alloc::Layout::new::<u64>();
    let attached = shadow::attach(1, 1, one, None).is_some();
    shadow::detach(1, 1, None);
    check!(attached, "no shadow variable");
    let targets = [
        "test_klp_mod_target",
        "test_klp_callbacks_mod",
        "test_klp_callbacks_busy",
    ];
    let mut patches = vec![
        "kinds",
        "test_klp_livepatch",
        "test_klp_second",
        "test_klp_atomic_replace",
        "test_klp_mod_patch",
        "test_klp_callbacks_demo",
        "test_klp_callbacks_demo2",
        "test_klp_shadow_vars",
        "test_klp_stays",
    ];
    if !klp::variants::current().patches_modules {
        patches.retain(|name| !OF_MODULES.contains(name));
    }
    for name in targets {
        super::load(name)?;
    }
    for name in &patches {
        super::enable(name)?;
    }
    super::enable("test_klp_state")?;
    super::disable("test_klp_state")?;
    for name in patches.iter().chain(&targets).chain(&["test_klp_state"]) {
        super::unload(name)?;
    }
    drop(live::take_notes());
    Ok(())
}

/// Runs a test, and checks that everything is as before: heap, code memory, the
/// kernel's text, retired code, shadow variables, threads, modules and patches.
pub fn undisturbed(test: impl FnOnce() -> super::super::Result) -> super::super::Result {
    println!();
    live::close();
    drop(live::take_notes());
    warm_up()?;
    let before = Traces::now();
    if let Err(error) = test() {
        clean_up();
        return Err(error);
    }
    // Ended threads are freed later, and the worker may still be looking at one.
    let limit = limit();
    loop {
        drop(live::take_notes());
        ftrace::reclaim();
        let after = Traces::now();
        if after == before {
            return Ok(());
        }
        if arch::timebase() > limit {
            clean_up();
            check!(false, "it has left traces:\n{after:?}, before\n{before:?}");
        }
        thread::yield_now();
    }
}

/// After a failure: as much as possible as it was, so that the next test can run.
fn clean_up() {
    live::open();
    live::on_note(None);
    klp::observe(None);
    time::stop_calling();
    klp::wait();
    let names: Vec<String> = (loader::loaded().iter().rev())
        .map(|module| module.name.clone())
        .filter(|name| name.starts_with("test_klp"))
        .collect();
    for name in names {
        if let Err(error) = klp::unload(&name) {
            println!("cleaning up: {error}");
        }
    }
    for id in [1, 0x1234, 0x1235, 0x1236] {
        shadow::detach_all(id, None);
    }
    live::test_level(live::LEVEL_AT_REST);
    println!("after a failure: {:?}", Traces::now());
}
