//! Threads that are in the middle of something when others switch, or they
//! themselves.

use super::{
    super::{
        fixtures::{self, Finding, Outcome, Trial, Way, ensure, pass, settled},
        functions::{self, HOLD, INSIDE, MIDDLE, MIDDLE_DEPTH},
        gate::deadline,
        watched::{Call, Seen},
    },
    toc::{MORE, is_register},
};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
};
use core::sync::atomic::{AtomicU8, Ordering};
use livepatch::Blocked;
use loader::Module;
use machine::arch;

/// How deep threads recurse.
const DEPTH: u64 = 50;

fn recurse() -> Call {
    Call::new(functions::recursive as *const () as u64, &[DEPTH])
}

fn is_whole(seen: &Seen) -> Result<(), Finding> {
    seen.kept_toc()?;
    seen.kept(is_register)
}

/// Enables a patch while a thread is in the middle of its recursion, hands that
/// thread to `body`, and takes the patch away.
fn in_the_middle(
    load: impl FnOnce() -> Result<Arc<Module>, Finding>,
    body: impl FnOnce(Trial<Seen>) -> Result<(), Finding>,
) -> Result<(), Finding> {
    MIDDLE.shut();
    let call = recurse();
    let first = Trial::start(move || call.make())?;
    if !MIDDLE.is_reached() {
        MIDDLE.open();
        return Err(Finding::Failed("no thread got to the middle".into()));
    }
    let enabled = load().and_then(|module| fixtures::enable(&module));
    if let Err(found) = enabled {
        MIDDLE.open();
        first.finish()?;
        return Err(found);
    }
    let result = if livepatch::running().is_some() {
        body(first)
    } else {
        Err(Finding::Failed("the transition has ended at once".into()))
    };
    MIDDLE.open();
    result
}

pub fn recursion_all_old() -> Outcome {
    let result = in_the_middle(
        || fixtures::load("cases"),
        |first| {
            let second = recurse().run()?;
            second.returned(DEPTH * 1000)?;
            is_whole(&second)?;
            MIDDLE.open();
            let first = first.finish()?;
            first.returned(DEPTH)?;
            is_whole(&first)?;
            fixtures::settle()?;
            recurse().run()?.returned(DEPTH * 1000)
        },
    );
    let cleaned = fixtures::clean("cases");
    result?;
    cleaned?;
    pass()
}

/// A module of a forced transition stays loaded for good, so each time it is loaded
/// under another name: the last character of this.
const FORCED: &str = "cases-forced-0";
static FORCED_TIMES: AtomicU8 = AtomicU8::new(b'1');

/// The file with that name.
fn renamed() -> Result<(alloc::vec::Vec<u8>, String), Finding> {
    let mut file = fixtures::file(FORCED)?.to_vec();
    let last = FORCED_TIMES.fetch_add(1, Ordering::Relaxed);
    // In the descriptor's name, and wherever else it stands.
    let is_name = |bytes: &[u8]| bytes == FORCED.as_bytes();
    while let Some(place) = file.windows(FORCED.len()).position(is_name) {
        file[place + FORCED.len() - 1] = last;
    }
    let stem = &FORCED[..FORCED.len() - 1];
    Ok((file, format!("{stem}{}", char::from(last))))
}

pub fn recursion_forced() -> Outcome {
    let (file, name) = renamed()?;
    let load = || loader::load(&file).map_err(|error| Finding::Refused(error.to_string()));
    let result = in_the_middle(load, |first| {
        livepatch::force().map_err(|error| error.to_string())?;
        MIDDLE.open();
        let first = first.finish()?;
        // The outer calls are old, and the one that waits.
        let old = DEPTH - MIDDLE_DEPTH + 1;
        first.returned(old + (DEPTH - old) * 1000)?;
        is_whole(&first)?;
        recurse().run()?.returned(DEPTH * 1000)
    });
    let disabled = match livepatch::find(&name) {
        Some(_) => fixtures::disable(&name),
        None => fixtures::unload(&name),
    };
    result?;
    disabled?;
    ensure!(
        loader::unload(&name).is_err(),
        "the module can be unloaded after a forced transition"
    );
    recurse().run()?.returned(DEPTH)?;
    Ok("its module stays loaded for good".into())
}

pub fn both_patch_states() -> Outcome {
    HOLD.shut();
    let old = Trial::start(|| functions::hold(functions::patch_state))?;
    if !HOLD.is_reached() {
        HOLD.open();
        return Err(Finding::Failed("no thread got into `hold`".into()));
    }
    let enabled = fixtures::load("cases").and_then(|module| fixtures::enable(&module));
    if let Err(found) = enabled {
        HOLD.open();
        old.finish()?;
        return Err(found);
    }
    let new = Trial::start(|| {
        (0..100)
            .map(|_| core::hint::black_box(functions::patch_state)())
            .sum::<u64>()
    });
    HOLD.open();
    let (old, new) = (old.finish(), new.and_then(Trial::finish));
    fixtures::clean("cases")?;
    let (old, new) = (old?, new?);
    ensure!(
        old == 100,
        "the old side's hundred calls returned {old} in all"
    );
    ensure!(
        new == 100_000,
        "the new side's hundred calls returned {new} in all"
    );
    pass()
}

pub fn unpatch_inside() -> Outcome {
    let function = functions::inside as *const () as u64;
    settled("cases", || {
        fixtures::check_way(function, Way::Settled)?;
        INSIDE.shut();
        let call = Call::new(function, &[41]);
        let first = {
            let call = call.clone();
            Trial::start(move || call.make())?
        };
        let result = while_inside(&call);
        INSIDE.open();
        let first = first.finish();
        result?;
        let first = first?;
        fixtures::settle()?;
        first.returned(42 + MORE)?;
        is_whole(&first)?;
        ensure!(
            livepatch::find("cases").is_none(),
            "the patch is still enabled"
        );
        call.run()?.returned(42)?;
        pass()
    })
}

fn is_held_by_function() -> bool {
    let mut threads = livepatch::progress().into_iter();
    threads.any(|progress| matches!(progress.blocked, Some(Blocked::Function { .. })))
}

/// A thread is in C, or about to be.
fn while_inside(call: &Call) -> Result<(), Finding> {
    ensure!(INSIDE.is_reached(), "no thread got into the new function");
    livepatch::disable("cases").map_err(|error| error.to_string())?;
    fixtures::switch_side()?;
    // It has said that it is there before it fell asleep.
    let until = deadline();
    while !is_held_by_function() {
        ensure!(
            arch::timebase() < until,
            "no thread is blocked by the new function, but {:?}",
            livepatch::progress()
        );
        thread::yield_now();
    }
    ensure!(
        loader::unload("cases").is_err(),
        "the module can be unloaded while a thread is in it"
    );
    // Others are back already.
    call.run()?.returned(42)?;
    thread::yield_now();
    ensure!(
        livepatch::running().is_some(),
        "the transition has ended with a thread in C"
    );
    Ok(())
}
