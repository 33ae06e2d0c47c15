//! Shadow variables, from a patch's replacement function (test-shadow-vars.sh).

use super::{enable, remove, undisturbed};
use crate::{check, livepatch::shadow, selftest::Result, victims::live::annotate};

/// What the replacement of [`annotate`] does, by number.
const GET: u64 = 0;
const ALLOC: u64 = 1;
const GET_OR_ALLOC: u64 = 2;
const FREE: u64 = 3;
const FREE_ALL: u64 = 4;
const GET_SECOND: u64 = 5;
const ALLOC_SECOND: u64 = 6;
const FREE_ALL_SECOND: u64 = 7;
const ALLOC_EVEN: u64 = 8;
const GET_OR_ALLOC_EVEN: u64 = 9;
const ADD: u64 = 10;
const ALIVE: u64 = 11;

/// There is no value.
const NONE: i64 = -2;

/// Calls with these arguments, which must return so much.
fn calls(expected: &[((u64, u64, u64), i64)]) -> Result {
    for (step, &((object, what, value), expected)) in expected.iter().enumerate() {
        let found = annotate(object, what, value);
        check!(
            found == expected,
            "step {step}: annotate({object}, {what}, {value}) is {found} instead of {expected}"
        );
    }
    Ok(())
}

/// Some objects: nothing but addresses.
const A: u64 = 0x1000;
const B: u64 = 0x2000;
const C: u64 = 0x2001;

/// Runs a test with the patch enabled.
fn patched(test: impl FnOnce() -> Result) -> Result {
    undisturbed(|| {
        check!(annotate(A, GET, 0) == -1, "before");
        enable("test_klp_shadow_vars")?;
        test()?;
        let count = shadow::count();
        check!(count == 0, "{count} variables are left");
        check!(
            annotate(A, ALIVE, 0) == 0,
            "{} values were not dropped",
            annotate(A, ALIVE, 0)
        );
        remove("test_klp_shadow_vars")?;
        check!(annotate(A, GET, 0) == -1, "after");
        Ok(())
    })
}

crate::selftest! {
    /// Made once, found, and freed once; each object has its own.
    fn get_alloc_free() {
        patched(|| calls(&[
            ((A, GET, 0), NONE),
            ((A, ALLOC, 5), 5),
            ((A, GET, 0), 5),
            ((A, ALLOC, 6), NONE),
            ((A, GET, 0), 5),
            ((B, GET, 0), NONE),
            ((B, ALLOC, 7), 7),
            ((A, ADD, 10), 5),
            ((A, GET, 0), 15),
            ((B, GET, 0), 7),
            ((A, ALIVE, 0), 2),
            ((A, FREE, 0), 0),
            ((A, GET, 0), NONE),
            ((A, ALIVE, 0), 1),
            ((A, FREE, 0), 0),
            ((B, GET, 0), 7),
            ((B, FREE, 0), 0),
        ]))
    }

    /// Made if there is none, and only then.
    fn get_or_alloc() {
        patched(|| calls(&[
            ((A, GET_OR_ALLOC, 5), 5),
            ((A, GET_OR_ALLOC, 6), 5),
            ((A, ALIVE, 0), 1),
            ((A, ALLOC, 6), NONE),
            ((A, ALIVE, 0), 1),
            ((A, FREE, 0), 0),
            ((A, GET_OR_ALLOC, 6), 6),
            ((A, FREE, 0), 0),
        ]))
    }

    /// Two kinds on one object do not meet.
    fn two_ids_on_one_object() {
        patched(|| calls(&[
            ((A, ALLOC, 5), 5),
            ((A, GET_SECOND, 0), NONE),
            ((A, ALLOC_SECOND, 8), 8),
            ((B, ALLOC_SECOND, 9), 9),
            ((A, GET, 0), 5),
            ((A, GET_SECOND, 0), 8),
            ((A, FREE, 0), 0),
            ((A, GET_SECOND, 0), 8),
            ((A, FREE_ALL_SECOND, 0), 0),
            ((A, GET_SECOND, 0), NONE),
            ((B, GET_SECOND, 0), NONE),
        ]))
    }

    /// All of a kind are freed, each is dropped, and the others stay.
    fn free_all() {
        patched(|| calls(&[
            ((A, ALLOC, 1), 1),
            ((B, ALLOC, 2), 2),
            ((C, ALLOC, 3), 3),
            ((B, ALLOC_SECOND, 4), 4),
            ((A, ALIVE, 0), 3),
            ((A, FREE_ALL, 0), 0),
            ((A, ALIVE, 0), 0),
            ((A, GET, 0), NONE),
            ((B, GET, 0), NONE),
            ((C, GET, 0), NONE),
            ((B, GET_SECOND, 0), 4),
            ((A, FREE_ALL, 0), 0),
            ((A, FREE_ALL_SECOND, 0), 0),
        ]))
    }

    /// A constructor that refuses leaves nothing; one that is not asked can't refuse.
    fn refusing_constructor() {
        patched(|| {
            calls(&[
                ((A, ALLOC_EVEN, 3), NONE),
                ((A, GET, 0), NONE),
                ((A, GET_OR_ALLOC_EVEN, 3), NONE),
                ((A, ALIVE, 0), 0),
            ])?;
            check!(shadow::count() == 0, "there is one");
            calls(&[
                ((A, GET_OR_ALLOC_EVEN, 4), 4),
                ((A, GET_OR_ALLOC_EVEN, 5), 4),
                ((A, ALIVE, 0), 1),
                ((A, FREE, 0), 0),
                ((A, ALLOC_EVEN, 6), 6),
                ((A, FREE, 0), 0),
            ])
        })
    }

    /// A thousand objects.
    fn many_objects() {
        patched(|| {
            for object in 1..=1000 {
                calls(&[((object, ALLOC, 7 * object), 7 * object as i64)])?;
            }
            check!(shadow::count() == 1000, "there are {}", shadow::count());
            for object in 1..=1000 {
                calls(&[((object, GET, 0), 7 * object as i64)])?;
            }
            for object in (1..=1000).step_by(2) {
                calls(&[((object, FREE, 0), 0)])?;
            }
            calls(&[((1, GET, 0), NONE), ((2, GET, 0), 14), ((0, ALIVE, 0), 500), ((0, FREE_ALL, 0), 0)])
        })
    }

    /// Variables outlive the patch that has made them, until somebody frees them.
    fn outlive_the_patch() {
        undisturbed(|| {
            enable("test_klp_shadow_vars")?;
            calls(&[((A, ALLOC_SECOND, 9), 9)])?;
            remove("test_klp_shadow_vars")?;
            check!(shadow::count() == 1, "it has gone");
            enable("test_klp_shadow_vars")?;
            calls(&[((A, GET_SECOND, 0), 9), ((A, FREE_ALL_SECOND, 0), 0)])?;
            remove("test_klp_shadow_vars")
        })
    }
}
