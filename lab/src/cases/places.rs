//! Where A and C lie.

use super::{
    super::{
        fixtures::{
            self, Finding, Outcome, Trial, both_ways, both_ways_of, check_way, ensure, settled,
        },
        functions::{self, INSIDE},
        watched::Call,
    },
    toc::MORE,
};
use alloc::{
    string::{String, ToString},
    sync::Arc,
};
use loader::{Module, ModuleError, TocChoice};

/// What the functions of the module add behind the call.
const THEIR_MORE: u64 = 70_000;

/// Loads the module with the functions that call others. It has a TOC of its own whatever
/// the variant gives to patches: an ordinary module is loaded before there is a patch.
fn load_target() -> Result<Arc<Module>, Finding> {
    let (convention, toc) = loader::expected();
    loader::expect(convention, TocChoice::Own);
    let target = fixtures::load("cases-target");
    loader::expect(convention, toc);
    target
}

/// Runs `body` while it is loaded.
fn with_target(body: impl FnOnce(&Arc<Module>) -> Outcome) -> Outcome {
    let target = load_target()?;
    let result = body(&target);
    drop(target);
    fixtures::unload("cases-target")?;
    result
}

fn find(module: &Module, path: &str) -> Result<u64, Finding> {
    let found = module.function(path);
    found.ok_or_else(|| Finding::Failed(String::from("no function ") + path))
}

pub fn module_local() -> Outcome {
    with_target(|target| {
        let (outer, inner) = (
            find(target, "cases_target::outer")?,
            find(target, "cases_target::inner")?,
        );
        let call = Call::new(outer, &[1]).with_toc(target.toc);
        call.run()?.returned(1 + 2 * THEIR_MORE)?;
        both_ways("cases-module", |way| {
            check_way(inner, way)?;
            let seen = call.run()?;
            seen.kept_toc()?;
            seen.returned(1 + MORE + THEIR_MORE)
        })
    })
}

pub fn module_to_kernel() -> Outcome {
    with_target(|target| {
        let caller = find(target, "cases_target::calls_kernel")?;
        let call = Call::new(caller, &[1]).with_toc(target.toc);
        call.run()?.returned(2 + THEIR_MORE)?;
        both_ways("cases", |way| {
            check_way(functions::lab_leaf as *const () as u64, way)?;
            let seen = call.run()?;
            seen.kept_toc()?;
            seen.returned(2 + MORE + THEIR_MORE)
        })
    })
}

/// A's return address may be where the hand-off keeps it, and nowhere else.
pub fn caller_stays() -> Outcome {
    let target = load_target()?;
    let caller = find(&target, "cases_target::calls_inside");
    let call = caller.map(|caller| Call::new(caller, &[1]).with_toc(target.toc));
    // A reference keeps the module loaded as well; that is not the question.
    drop(target);
    let result = call.and_then(|call| settled("cases", || unload_below(&call)));
    fixtures::unload("cases-target")?;
    result
}

fn unload_below(call: &Call) -> Outcome {
    INSIDE.shut();
    let own = call.clone();
    let first = Trial::start(move || own.make())?;
    let refusal = if INSIDE.is_reached() {
        loader::unload("cases-target").err()
    } else {
        INSIDE.open();
        return Err(String::from("no thread got into the new function").into());
    };
    INSIDE.open();
    let seen = first.finish()?;
    ensure!(
        matches!(refusal, Some(ModuleError::Running(_))),
        "unloading A's module ended with {refusal:?} while a thread was to return to it"
    );
    seen.returned(2 + MORE + THEIR_MORE)?;
    fixtures::pass()
}

pub fn far_module() -> Outcome {
    let far = || {
        let module = loader::load_far(fixtures::file("cases")?);
        module.map_err(|error| Finding::Refused(error.to_string()))
    };
    both_ways_of("cases", far, |_| {
        let place = loader::find("cases").map_or(0, |module| module.range().start);
        ensure!(place > 1 << 31, "the module lies at {place:#x}");
        // Two instructions can't name it, so there is no settled stub.
        for function in [
            functions::counted as *const () as u64,
            functions::lab_leaf as *const () as u64,
        ] {
            let seen = Call::new(function, &[41]).run()?;
            seen.returned(42 + MORE)?;
            seen.kept_toc()?;
        }
        Call::new(functions::calls_patched as *const () as u64, &[5])
            .run()?
            .returned(13 + 3 * MORE)
    })
}
