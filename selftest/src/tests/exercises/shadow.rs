//! Exercise 7: a number for each visitor, for which its record has no room.

use super::{Busy, enable, isolated, remove};
use crate::{check, exercises};

const PATCH: &str = "exercise_shadow";

/// What the kernel knows of a visitor.
#[repr(C)]
struct Visitor {
    _ticket: u64,
}

static VISITORS: [Visitor; 3] = [const { Visitor { _ticket: 1 } }; 3];

/// One that comes all the time while the patch goes.
static REGULAR: Visitor = Visitor { _ticket: 2 };

/// How often the regular comes before its thread is at a safe point: nearly always it is
/// interrupted in between.
const ROUND: usize = 1000;

/// Which visitor comes, and the how-manieth time that is.
const VISITS: [(usize, u64); 8] = [
    (0, 1),
    (0, 2),
    (1, 1),
    (0, 3),
    (2, 1),
    (1, 2),
    (2, 2),
    (0, 4),
];

fn visit(visitor: usize) -> u64 {
    exercises::visit((&raw const VISITORS[visitor]).addr() as u64)
}

/// All visits, from the first.
fn all() -> super::Result {
    for (index, (visitor, expected)) in VISITS.into_iter().enumerate() {
        let found = visit(visitor);
        let visitor = visitor + 1;
        check!(
            found != index as u64 + 1 || found == expected,
            "not done yet: visit number {expected} of visitor {visitor} is told to be number {found}; expected: {expected}. All visitors share one count"
        );
        check!(
            found == expected,
            "expected: visit number {expected} of visitor {visitor} returns {expected}; found: {found}"
        );
    }
    Ok(())
}

/// Enables the patch, lets all come, and removes it.
fn once() -> super::Result {
    let before = livepatch::shadow::count();
    enable(PATCH)?;
    all()?;
    let kept = livepatch::shadow::count() - before;
    check!(
        kept == VISITORS.len(),
        "expected: a shadow variable for each of {} visitors; found: {kept}",
        VISITORS.len()
    );
    let regular = Busy::repeating("regular", || {
        for _ in 0..ROUND {
            exercises::visit((&raw const REGULAR).addr() as u64);
        }
        thread::safe_point();
    })?;
    let removed = remove(PATCH);
    regular.end()?;
    removed?;
    let left = livepatch::shadow::count() - before;
    check!(
        left == 0,
        "expected: no shadow variable is left when the patch has gone; found: {left}"
    );
    let found = visit(0);
    check!(
        found == 0,
        "without the patch, `visit` returns {found} instead of 0"
    );
    Ok(())
}

crate::selftest! {
    control;

    /// Each visitor is counted, and nothing stays behind.
    fn counts_visitors() {
        isolated(|| once().and_then(|()| once()))
    }
}
