//! A patch with functions that are written in C, at each optimisation level and by each
//! variant.

use crate::{
    check,
    tests::{common::Counter, is_usual_shape},
};
use alloc::{format, string::String, vec::Vec};
use core::arch::asm;
use ftrace::{Filter, Flags};
use lab::targets;
use livepatch::variants::{self, VARIANTS, Variant};
use machine::{console, symbols};
use report::Judgement;

/// Modules of the same functions, compiled at -O0, -O1, -O2, -O3 and -Os.
const LEVELS: [&str; 5] = ["in_c0", "in_c1", "in_c2", "in_c3", "in_c"];

static COUNT: Counter = Counter::new("in_c", Flags::empty());

/// Makes a call, and fails if r2 is another one behind it. Puts it right first of all, since
/// what follows rests on it.
#[inline(always)]
fn keeps_r2<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let (before, after): (u64, u64);
    // SAFETY: copies a register.
    unsafe { asm!("mr {}, 2", out(reg) before, options(nomem, nostack, preserves_flags)) };
    let result = call();
    // SAFETY: r2 is this function's own TOC pointer again, as compiled code takes it to be.
    unsafe {
        asm!(
            "mr {after}, 2",  // what the call has left
            "mr 2, {before}", // the TOC pointer
            after = out(reg) after,
            before = in(reg) before,
            options(nomem, nostack, preserves_flags),
        );
    }
    check!(before == after, "r2 is {after:#x} instead of {before:#x}");
    Ok(result)
}

/// Calls the functions that are replaced, with arguments in registers: as many as C has.
fn calls_in_registers() -> Result<(), String> {
    for (value, expected) in [(5, 509), (8, 804), (2, 206), (20, 2004), (6, 612)] {
        let found = keeps_r2(|| targets::leaf(value))?;
        check!(found == expected, "leaf({value}): {found}");
    }
    let found = [
        keeps_r2(|| targets::find(49, 4))?,
        keeps_r2(|| targets::find(49, 5))?,
    ];
    check!(found == [50, 48], "find: {found:?}");
    let found = [
        keeps_r2(|| targets::is_even(4))?,
        keeps_r2(|| targets::is_even(5))?,
    ];
    check!(found == [false, true], "is_even: {found:?}");
    let before = keeps_r2(|| targets::report(9))?;
    keeps_r2(|| targets::nothing())?;
    let after = keeps_r2(|| targets::report(7))?;
    check!(
        before.values == [9, 27, 45] && after.values == [7, 21, 35],
        "{before:?} {after:?}"
    );
    check!(after.calls == before.calls + 1001, "{before:?} {after:?}");
    let found = keeps_r2(|| targets::c_counts(7))?;
    check!(found == 14 + 22, "c_counts: {found}");
    Ok(())
}

/// The same with arguments on the stack.
fn calls_on_the_stack() -> Result<(), String> {
    let found = keeps_r2(|| targets::sum12(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12))?;
    check!(found == 650 + 26, "sum12: {found}");
    // SAFETY: ten longs follow.
    let found = keeps_r2(|| unsafe {
        targets::c_variadic(
            10, 1_i64, 2_i64, 3_i64, 4_i64, 5_i64, 6_i64, 7_i64, 8_i64, 9_i64, 10_i64,
        )
    })?;
    check!(found == 385, "c_variadic: {found}");
    Ok(())
}

/// Enables the patch, calls its functions, traces one, and takes it back. Returns how many
/// bytes of code one of its functions has, that no two levels make the same of.
fn at(name: &str, variant: &Variant) -> Result<u64, String> {
    let file = loader::find_file(name)?;
    let options = livepatch::Options::default();
    livepatch::load(file.bytes, options).map_err(|error| format!("{error}"))?;
    livepatch::wait();
    let loaded = loader::find(name).ok_or("is not loaded")?;
    let size = loaded.function("sum").and_then(symbols::size_at);
    let passes = |case| variant.expectation(case).0 == Judgement::Pass;
    let result = calls_in_registers().and_then(|()| match passes("arguments-20") {
        true => calls_on_the_stack(),
        false => Ok(()),
    });
    COUNT.take();
    let traced = ftrace::register(&COUNT.ops, &Filter::only(&["leaf_body", "counts"]));
    let called = keeps_r2(|| targets::leaf(5)).and_then(|_| keeps_r2(|| targets::c_counts(5)));
    let untraced = ftrace::unregister(&COUNT.ops);
    drop(loaded);
    livepatch::unload(name).map_err(|error| format!("{error}"))?;
    result.and(called)?;
    let hits = COUNT.take();
    check!(
        traced == Ok(2) && untraced.is_ok() && hits == 2,
        "{traced:?}, {untraced:?}, {hits} hits"
    );
    check!(targets::leaf(5) == 16, "leaf is still replaced");
    size.ok_or_else(|| "`sum` has no symbol".into())
}

/// The same at some levels.
fn by(variant: &Variant, levels: &[&str]) -> Result<(), String> {
    let mut sizes = Vec::new();
    for name in levels {
        let size = at(name, variant);
        sizes.push(size.map_err(|error| format!("{name}, {}: {error}", variant.name))?);
        console::progress(name, 0, 0);
    }
    let are_unlike = (1..sizes.len()).all(|index| !sizes[..index].contains(&sizes[index]));
    check!(are_unlike, "{levels:?}: two of one level? {sizes:?} bytes");
    Ok(())
}

crate::selftest! {
    /// Replacement functions in C, with jump tables, string literals, static data, stack
    /// arguments, variable ones and calls into the kernel, work by every variant that can
    /// work, whatever level they are compiled at, and have sites of their own. Beside the usual
    /// shape of machine: at each level by the variant that needs most of the processor, and
    /// by each of the others at one.
    fn by_every_variant() {
        let usual = variants::current().name;
        let possible = VARIANTS.iter().copied().filter(|one| one.gives_back_toc && (one.needs)().is_ok());
        let possible: Vec<&Variant> = possible.collect();
        let result = possible.iter().enumerate().try_for_each(|(place, variant)| {
            variants::adopt(variant).map_err(|error| format!("{error}"))?;
            let one = place % LEVELS.len();
            let at_all = is_usual_shape() || place + 1 == possible.len();
            by(variant, if at_all { &LEVELS } else { &LEVELS[one..=one] })
        });
        variants::choose(usual).map_err(|error| format!("{error}"))?;
        result
    }
}
