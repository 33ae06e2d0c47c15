//! C in a module that keeps the kernel's TOC ([`klp::info::KERNELS_TOC`]), whatever TOC the
//! variant gives to others.

use super::{
    super::{
        fixtures::{
            self, Finding, Outcome, Trial, Way, both_ways, check_way, ensure, pass, settled,
        },
        functions::{self, INSIDE},
        watched::{By, Call},
    },
    toc::{MORE, is_register},
};

/// The patch, and what its functions add.
const KEEPS: (&str, u64) = ("cases-kernels-toc", 2_000_000);
/// A patch of the form that the variant asks for.
const USUAL: (&str, u64) = ("cases", MORE);

/// How deep the recursion is, by way of the kernel each time.
const DEPTH: u64 = 20;

/// What the usual patch returns for each call of the recursion.
const A_CALL: u64 = 1000;

/// Calls what both patches replace, and checks which of them has answered, and what the
/// callers go on with.
fn calls((patch, more): (&str, u64), way: Way) -> Result<(), Finding> {
    let a_call = if patch == USUAL.0 { A_CALL } else { more };
    for (function, argument, expected) in [
        (functions::counted as *const (), 41, 42 + more),
        (functions::lab_counted as *const (), 41, 42 + more),
        (functions::lab_leaf as *const (), 41, 42 + more),
        (functions::calls_kernel as *const (), 21, 42 + more),
        (functions::calls_patched as *const (), 5, 13 + 3 * more),
        (functions::recursive as *const (), DEPTH, DEPTH * a_call),
    ] {
        let function = function as u64;
        check_way(function, way)?;
        for by in [By::Local, By::Pointer] {
            let seen = Call::new(function, &[argument]).by(by).run()?;
            seen.returned(expected)?;
            seen.kept_toc()?;
            seen.kept(is_register)?;
        }
    }
    Ok(())
}

pub fn alone() -> Outcome {
    both_ways(KEEPS.0, |way| calls(KEEPS, way))
}

/// The one comes while a thread sleeps in the other's function, and goes again.
pub fn stacked() -> Outcome {
    for [below, above] in [[KEEPS, USUAL], [USUAL, KEEPS]] {
        settled(below.0, || {
            calls(below, Way::Settled)?;
            let result = comes(below, above);
            let is_loaded = loader::find(above.0).is_some();
            let cleaned = match is_loaded {
                true => fixtures::clean(above.0),
                false => Ok(()),
            };
            result?;
            cleaned?;
            calls(below, Way::Settled)?;
            pass()
        })?;
    }
    pass()
}

fn comes(below: (&str, u64), above: (&str, u64)) -> Result<(), Finding> {
    INSIDE.shut();
    let call = Call::new(functions::inside as *const () as u64, &[41]);
    let sleeper = Trial::start(move || call.make())?;
    if !INSIDE.is_reached() {
        INSIDE.open();
        return Err(Finding::Failed("no thread got into the function".into()));
    }
    let result = fixtures::load(above.0).and_then(|module| {
        fixtures::enable(&module)?;
        ensure!(
            livepatch::running().is_some(),
            "the transition has ended at once"
        );
        calls(above, Way::Transition)
    });
    INSIDE.open();
    let seen = sleeper.finish();
    result?;
    let seen = seen?;
    seen.returned(42 + below.1)?;
    seen.kept_toc()?;
    seen.kept(is_register)?;
    fixtures::settle()?;
    calls(above, Way::Settled)
}
