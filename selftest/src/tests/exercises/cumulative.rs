//! Exercise 8: a patch that takes the place of an earlier one.

use super::{EARLIER, disable, enable, isolated};
use crate::{check, exercises};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use demo::bank;

const PATCH: &str = "exercise_cumulative";

/// What the bank says after a year; at one percent, and at two.
const BALANCE: [u64; 2] = [10_100, 10_200];

crate::selftest! {
    control;

    /// It alone is enabled, and everything that the earlier one has mended still is.
    fn takes_over() {
        isolated(|| {
            enable(EARLIER)?;
            let found = bank::balance(0, 1);
            check!(found == BALANCE[1], "with `{EARLIER}`, the balance is {found}");
            enable(PATCH)?;
            let found = exercises::fee(50);
            check!(found == 1, "expected: with the patch enabled, the fee for 50 is 1; found: {found}");
            let found = exercises::fee(700);
            check!(found == 7, "expected: with the patch enabled, the fee for 700 is 7; found: {found}");
            let enabled = livepatch::patches();
            let names: Vec<String> = enabled.iter().map(|(patch, _)| patch.name().to_string()).collect();
            drop(enabled);
            check!(names == [PATCH], "not done yet: after `{PATCH}` was enabled, these patches are: {}; expected: {PATCH} alone", names.join(", "));
            let found = bank::balance(0, 1);
            check!(found == BALANCE[1],
                "expected: the balance after a year is still {}, as with `{EARLIER}`; found: {found}. Who takes another's place must bring what that has mended", BALANCE[1]);
            loader::unload(EARLIER).map_err(|error| error.to_string())?;
            let found = (exercises::fee(50), bank::balance(0, 20));
            let expected = (1, bank::expected(2, 20));
            check!(found == expected, "expected: with `{EARLIER}` unloaded, fee and balance are {expected:?}; found: {found:?}");
            disable(PATCH)?;
            let found = (exercises::fee(50), bank::balance(0, 1));
            check!(found == (0, BALANCE[0]), "without any patch, fee and balance are {found:?}");
            loader::unload(PATCH).map_err(|error| error.to_string())
        })
    }
}
