//! Exercise 6: a replacement function in assembly, with a mended epilogue. The runner has
//! it proved first; a module that is not proved is not in the initrd.

use super::{enable, isolated, remove};
use crate::{check, exercises};
use lab::instruments::sanitiser::{SanitisedCall, kernel_toc};

const PATCH: &str = "exercise_epilogue";

/// A call with everything under watch, r2 first. Its result is what is returned.
fn watched(axles: u64, weight: u64) -> super::Result<u64> {
    let function = exercises::toll as *const () as u64;
    let toc = kernel_toc();
    let mut call = SanitisedCall::local(function, toc, &[axles, weight]);
    // SAFETY: the function takes two numbers, and the TOC is its own.
    unsafe { call.make() };
    let found = call.toc_after();
    check!(
        found == toc,
        "expected: after toll({axles}, {weight}) r2 is {toc:#x}; found: {found:#x}"
    );
    Ok(call.results()[0])
}

crate::selftest! {
    control;

    /// The function does its work, and its caller gets its r2 back.
    fn is_mended() {
        isolated(|| {
            check!(loader::find_file(PATCH).is_ok(), "not done yet: `{PATCH}` is not proved");
            enable(PATCH)?;
            exercises::take_noted();
            for (axles, weight, expected) in [(0, 7, 0), (2, 10, 16), (5, 40, 55)] {
                let found = watched(axles, weight)?;
                check!(found == expected, "expected: toll({axles}, {weight}) is {expected}; found: {found}");
                let noted = exercises::take_noted();
                check!(noted == expected, "expected: a toll of {expected} is noted; found: {noted}");
            }
            remove(PATCH)
        })
    }
}
