//! What A finds when it goes on: its r2, its registers, its frame.

use super::super::{
    fixtures::{Finding, Outcome, both_ways, check_way, ensure},
    functions,
    watched::{By, Call, Seen},
};
use crate::instruments::sanitiser::What;

/// What C adds to what B returns.
pub const MORE: u64 = 1_000_000;

/// Calls a target that returns its argument and one, before it is patched and in both
/// ways afterwards; `check` judges the calls of the patched one.
fn call(function: u64, by: By, check: impl Fn(&Seen) -> Result<(), Finding>) -> Outcome {
    let call = Call::new(function, &[41]).by(by);
    call.run()?.returned(42)?;
    both_ways("cases", |way| {
        check_way(function, way)?;
        let seen = call.run()?;
        seen.returned(42 + MORE)?;
        check(&seen)
    })
}

fn rust() -> u64 {
    functions::counted as *const () as u64
}

fn c() -> u64 {
    functions::lab_counted as *const () as u64
}

pub fn local_rust() -> Outcome {
    call(rust(), By::Local, Seen::kept_toc)
}

pub fn local_c() -> Outcome {
    call(c(), By::Local, Seen::kept_toc)
}

pub fn pointer() -> Outcome {
    call(rust(), By::Pointer, Seen::kept_toc)?;
    call(c(), By::Pointer, Seen::kept_toc)
}

/// All but r2 and the two words that have cases of their own.
pub fn is_register(what: What) -> bool {
    !matches!(what, What::Register(2) | What::Reserved | What::TocSave)
}

pub fn registers() -> Outcome {
    for function in [rust(), c()] {
        call(function, By::Local, |seen| seen.kept(is_register))?;
    }
    call(rust(), By::Pointer, |seen| seen.kept(is_register))
}

pub fn reserved_word() -> Outcome {
    call(rust(), By::Local, |seen| {
        seen.kept(|what| what == What::Reserved)
    })
}

pub fn toc_save_word() -> Outcome {
    call(rust(), By::Local, |seen| {
        seen.kept(|what| what == What::TocSave)
    })
}

pub fn leaf() -> Outcome {
    call(functions::lab_leaf as *const () as u64, By::Local, |seen| {
        seen.kept_toc()?;
        seen.kept(is_register)
    })
}

/// A's TOC is that of the patch module: any but the kernel's will do.
pub fn leaf_foreign() -> Outcome {
    let function = functions::lab_leaf as *const () as u64;
    both_ways("cases", |way| {
        check_way(function, way)?;
        let toc = loader::find("cases").map_or(0, |module| module.range().start + 0x8000);
        ensure!(toc != 0, "the patch is not loaded");
        let seen = Call::new(function, &[41]).with_toc(toc).run()?;
        seen.returned(42 + MORE)?;
        seen.kept_toc()
    })
}
