//! Exercise 3: two functions that must change together.

use super::{Busy, enable, isolated, remove};
use crate::{check, exercises};
use alloc::{format, sync::Arc};
use core::sync::atomic::{AtomicU64, Ordering};

const PATCH: &str = "exercise_together";

/// Some messages.
fn messages() -> impl Iterator<Item = u64> {
    (1..=1000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The first message that does not come back, and what comes instead.
fn lost() -> Option<(u64, u64)> {
    messages()
        .map(|message| (message, exercises::open(exercises::seal(message))))
        .find(|(message, opened)| message != opened)
}

crate::selftest! {
    control;

    /// What is sealed can be opened, by the new cipher, and all the time meanwhile.
    fn seals_and_opens() {
        isolated(|| {
            let old = exercises::seal(1);
            let shared = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
            let own = shared.clone();
            // On a quick machine all would be over before a clerk that was only begun has
            // come to work.
            let clerk = Busy::repeating("clerk", move || {
                own.0.fetch_add(u64::from(lost().is_some()), Ordering::Relaxed);
                own.1.fetch_add(1, Ordering::Relaxed);
                thread::safe_point();
            })?;
            let result = enable(PATCH).and_then(|()| {
                check!(exercises::seal(1) != old, "expected: with the patch enabled, `seal` uses another cipher; found: the old one");
                let is_old = exercises::open(old) == 1;
                if let Some((message, opened)) = lost() {
                    check!(!is_old, "not done yet: with the patch enabled, {message:#x} is sealed by the new cipher, opened by the old one, and is {opened:#x} then; expected: {message:#x}. `seal` and `open` must change together");
                    return Err(format!("expected: `open` opens what `seal` has sealed; found: {message:#x} has become {opened:#x}"));
                }
                remove(PATCH)
            });
            let ended = clerk.end();
            result?;
            ended?;
            let (bad, rounds) = (shared.0.load(Ordering::Relaxed), shared.1.load(Ordering::Relaxed));
            check!(rounds > 0, "the clerk has not worked");
            check!(bad == 0, "expected: every message comes back while threads switch; found: in {bad} of {rounds} rounds one did not");
            check!(exercises::seal(1) == old && lost().is_none(), "without the patch, the old cipher is not back");
            Ok(())
        })
    }
}
