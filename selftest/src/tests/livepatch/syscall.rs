//! Functions that many threads call while they are patched (test-syscall.sh).

use super::{is, text, undisturbed};
use crate::{check, tests::goes_on};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use consistency::Direction;
use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use lab::targets::live;
use livepatch as klp;
use livepatch::{Running, Status};

const THREADS: usize = 20;
const PATCH: &str = "test_klp_livepatch";

/// What the threads have found.
#[derive(Default)]
struct Found {
    stop: AtomicBool,
    /// Calls that ran the old functions, and the new ones.
    calls: [AtomicU64; 2],
    /// Rounds in which something else was returned, or both.
    mixed: AtomicU64,
    /// Rounds that ran the other side than the thread is on.
    wrong: AtomicU64,
    /// Rounds in a transition, in which the side could be told.
    judged: AtomicU64,
    /// Threads that have made a round since main has asked.
    rounds: [AtomicU64; THREADS],
}

/// What a thread in this state must run.
fn is_patched(transition: Option<&Running>, status: Option<Status>) -> Option<bool> {
    match transition {
        Some(transition) if transition.patch == PATCH => {
            let patch_state = thread::with_current(thread::Thread::patch_state)?;
            let on_new_side = patch_state == transition.number;
            Some(on_new_side == (transition.direction == Direction::Enable))
        }
        // Another one's, or none.
        _ => match status {
            Some(Status::Enabled) => Some(true),
            None => Some(false),
            Some(_) => None,
        },
    }
}

fn hammer(me: usize, found: &Found) {
    let by_address: extern "C" fn(u64) -> u64 = black_box(live::one);
    while !found.stop.load(Ordering::Relaxed) {
        let look = || (klp::running(), klp::find(PATCH).map(|(_, status)| status));
        let before = look();
        let value = me as u64;
        let results = [live::one(value), live::two(value) - 1, by_address(value)];
        let after = look();
        let patched = results[0] == value + 11;
        if results != [value + 1; 3] && results != [value + 11; 3] {
            found.mixed.fetch_add(1, Ordering::Relaxed);
        }
        found.calls[usize::from(patched)].fetch_add(3, Ordering::Relaxed);
        if before == after
            && let Some(expected) = is_patched(before.0.as_ref(), before.1)
        {
            found
                .judged
                .fetch_add(u64::from(before.0.is_some()), Ordering::Relaxed);
            found
                .wrong
                .fetch_add(u64::from(expected != patched), Ordering::Relaxed);
        }
        found.rounds[me].fetch_add(1, Ordering::Relaxed);
        thread::safe_point();
    }
}

/// Waits until every thread has begun and ended a round.
fn let_all_go_round(found: &Found) {
    let rounds = || {
        found
            .rounds
            .each_ref()
            .map(|round| round.load(Ordering::Relaxed))
    };
    let before = rounds();
    while rounds()
        .iter()
        .zip(before)
        .any(|(&now, before)| now < before + 2)
    {
        thread::yield_now();
    }
}

/// Runs `change` while the threads call.
fn hammered(change: impl FnOnce(&Found) -> Result<(), String>) -> Result<(), String> {
    let found = Arc::new(Found::default());
    let mut handles = Vec::new();
    for me in 0..THREADS {
        let found = found.clone();
        let handle = thread::spawn(&format!("hammer-{me}"), move || hammer(me, &found));
        handles.push(handle.map_err(text)?);
    }
    let_all_go_round(&found);
    let result = change(&found);
    found.stop.store(true, Ordering::Relaxed);
    for handle in handles {
        handle.join().map_err(text)?;
    }
    result?;
    let [old, new] = found
        .calls
        .each_ref()
        .map(|calls| calls.load(Ordering::Relaxed));
    let [mixed, wrong, judged] =
        [&found.mixed, &found.wrong, &found.judged].map(|count| count.load(Ordering::Relaxed));
    check!(
        mixed == 0,
        "{mixed} rounds with both sides, of {old} old and {new} new calls"
    );
    check!(wrong == 0, "{wrong} rounds on the wrong side");
    check!(old > 0 && new > 0, "{old} old and {new} new calls");
    check!(judged > 0, "no round in a transition");
    Ok(())
}

crate::selftest! {
    /// Each thread switches once, and every call is right for its side.
    fn patched_while_hammered() {
        undisturbed(|| hammered(|found| {
            for _ in 0..3 {
                goes_on();
                super::start(PATCH)?;
                super::ends_as(PATCH, Some(Status::Enabled))?;
                let old = found.calls[0].load(Ordering::Relaxed);
                let_all_go_round(found);
                let later = found.calls[0].load(Ordering::Relaxed);
                check!(later == old, "{} old calls after all have switched", later - old);
                klp::disable(PATCH).map_err(text)?;
                super::ends_as(PATCH, None)?;
                let new = found.calls[1].load(Ordering::Relaxed);
                let_all_go_round(found);
                let later = found.calls[1].load(Ordering::Relaxed);
                check!(later == new, "{} new calls after all have gone back", later - new);
                super::unload(PATCH)?;
            }
            Ok(())
        }))
    }

    /// Transitions that are turned round when all but one have switched.
    fn reversed_while_hammered() {
        undisturbed(|| hammered(|found| {
            // The patch replaces this one too, so a thread in it blocks the transition.
            super::enable("test_klp_stays")?;
            let staying = super::Staying::in_target("holds", 0, live::ASLEEP, 0)?;
            let file = super::replacing(PATCH)?;
            for _ in 0..3 {
                goes_on();
                klp::load(&file, klp::Options::default()).map_err(text)?;
                let_all_go_round(found);
                is(PATCH, Some(Status::Enabling))?;
                klp::reverse().map_err(text)?;
                super::ends_as(PATCH, None)?;
                let new = found.calls[1].load(Ordering::Relaxed);
                let_all_go_round(found);
                let later = found.calls[1].load(Ordering::Relaxed);
                check!(later == new, "{} new calls after all have gone back", later - new);
                super::unload(PATCH)?;
            }
            staying.returns(2)?;
            super::remove("test_klp_stays")
        }))
    }
}
