//! What arrives at C, and what comes back from it.

use super::{
    super::{
        fixtures::{Finding, Outcome, both_ways, check_way, ensure},
        functions::{self, Large},
        watched::Call,
    },
    toc::MORE,
};
use core::ptr;

/// Calls a target that returns the weighted sum of `arguments`, but for the first
/// `before` of them: before it is patched, and in both ways afterwards.
fn sum(function: u64, before: usize, arguments: &[u64]) -> Outcome {
    let expected = (1..)
        .zip(&arguments[before..])
        .map(|(weight, value)| weight * value)
        .sum::<u64>();
    let call = Call::new(function, arguments);
    call.run()?.returned(expected)?;
    both_ways("cases", |way| {
        check_way(function, way)?;
        call.run()?.returned(expected + MORE)
    })
}

/// Values that are all different, and small.
fn values<const N: usize>() -> [u64; N] {
    core::array::from_fn(|index| 7 * index as u64 + 3)
}

pub fn eight() -> Outcome {
    sum(functions::sum8 as *const () as u64, 0, &values::<8>())
}

pub fn nine() -> Outcome {
    sum(functions::sum9 as *const () as u64, 0, &values::<9>())
}

pub fn ten() -> Outcome {
    sum(functions::sum10 as *const () as u64, 0, &values::<10>())
}

pub fn twenty() -> Outcome {
    sum(functions::sum20 as *const () as u64, 0, &values::<20>())
}

fn variadic(function: u64) -> Outcome {
    let mut arguments = values::<12>();
    arguments[0] = 11;
    sum(function, 1, &arguments)
}

pub fn variadic_fixed() -> Outcome {
    variadic(functions::lab_variadic as *const () as u64)
}

pub fn variadic_list() -> Outcome {
    variadic(functions::lab_variadic_list as *const () as u64)
}

pub fn struct_16() -> Outcome {
    sum(functions::lab_small as *const () as u64, 0, &values::<2>())
}

pub fn struct_24() -> Outcome {
    sum(functions::lab_medium as *const () as u64, 0, &values::<3>())
}

pub fn struct_72() -> Outcome {
    sum(functions::lab_large as *const () as u64, 0, &values::<10>())
}

pub fn struct_hidden() -> Outcome {
    let function = functions::lab_hidden as *const () as u64;
    let check = |more: u64| -> Result<(), Finding> {
        // Not the trial's: after a call that faults, no code needs it.
        let mut room: Large = [-1; 9];
        let hidden = ptr::from_mut(&mut room).expose_provenance() as u64;
        let seen = Call::new(function, &[hidden, 5, 3]).run()?;
        let expected: Large = core::array::from_fn(|index| (5 + 3 * index as u64 + more) as i64);
        ensure!(
            room == expected,
            "returned {room:?} instead of {expected:?}"
        );
        // The ABI wants the pointer back in r3 (ELFv2 2.2.4).
        let found = seen.results[0];
        ensure!(
            more != 0 || found == hidden,
            "r3 is {found:#x} instead of the pointer"
        );
        Ok(())
    };
    check(0)?;
    both_ways("cases", |way| {
        check_way(function, way)?;
        check(MORE)
    })
}

pub fn pair() -> Outcome {
    let function = functions::pair as *const () as u64;
    let call = Call::new(function, &[50, 8]);
    let found = call.run()?.results;
    ensure!(found == [58, 42], "before it is patched: {found:?}");
    both_ways("cases", |way| {
        check_way(function, way)?;
        let (found, expected) = (call.run()?.results, [58 + MORE, 42 + MORE]);
        ensure!(
            found == expected,
            "returned {found:?} instead of {expected:?}"
        );
        Ok(())
    })
}
