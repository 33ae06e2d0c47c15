//! Exercise 1: another greeting.

use super::{enable, isolated, remove};
use crate::{check, exercises};
use alloc::string::String;

const PATCH: &str = "exercise_greeting";

/// What the function says when it is called now.
fn said() -> String {
    drop(exercises::take_said());
    exercises::greeting();
    exercises::take_said().unwrap_or_default()
}

crate::selftest! {
    control;

    /// The patched function says something else than the old one.
    fn greets() {
        isolated(|| {
            let old = said();
            enable(PATCH)?;
            let new = said();
            check!(new != old, "not done yet: with the patch enabled, `greeting` still says `{old}`; expected: other words");
            check!(!new.trim().is_empty(), "expected: with the patch enabled, `greeting` says something; found: it says nothing");
            remove(PATCH)?;
            let back = said();
            check!(back == old, "without the patch, `greeting` says `{back}` instead of `{old}`");
            Ok(())
        })
    }
}
