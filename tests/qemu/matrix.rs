//! The conformance matrix: every variant, every case, and all as declared.

use crate::harness::{Boot, Run, kernel, trial};
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;
use xtask::image::Image;
use xtask::outcome::Outcome;

/// Memory out of reach of the kernel's TOC, and prefixed instructions.
const NEW: &str = xtask::matrix::MACHINE;
/// The same memory, and a processor without them.
const OLD: &str = "large";
/// Several CPUs, with prefixed instructions.
const SEVERAL: &str = "smp-power10";

pub fn trials() -> Vec<Trial> {
    vec![
        trial("matrix::power10", power10),
        trial("matrix::power9", power9),
        trial("matrix::real-mode", real_mode),
        trial("matrix::several_cpus", several_cpus),
        trial("matrix::narrowed", narrowed),
        trial("matrix::refused", refused),
    ]
}

/// All cells of a run, by the file that `make matrix` writes.
fn cells(run: &Run) -> Result<Vec<Value>> {
    let file = xtask::matrix::cells(&run.records);
    ensure!(file["schema"] == 1, "{file}");
    file["cells"].as_array().cloned().context("no cells")
}

fn text<'a>(cell: &'a Value, field: &str) -> Result<&'a str> {
    let text = cell[field].as_str();
    text.with_context(|| format!("no {field} in {cell}"))
}

/// Each cell is there, once, is as declared, and has a reason if it is no pass.
fn check(run: &Run) -> Result<Vec<Value>> {
    let cells = cells(run)?;
    let mut seen = BTreeSet::new();
    let (mut variants, mut cases) = (BTreeSet::new(), BTreeSet::new());
    for cell in &cells {
        let (variant, case) = (text(cell, "variant")?, text(cell, "case")?);
        ensure!(
            cell["expected"] == cell["observed"],
            "not as declared: {cell}"
        );
        ensure!(
            cell["observed"] == "pass" || !text(cell, "reason")?.is_empty(),
            "no reason: {cell}"
        );
        ensure!(seen.insert((variant, case)), "twice: {cell}");
        variants.insert(variant);
        cases.insert(case);
    }
    let known = xtask::variants::of(kernel(Image::Lab)?)?;
    let known: BTreeSet<_> = known.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(
        variants == known,
        "variants: {variants:?} instead of {known:?}"
    );
    ensure!(
        seen.len() == variants.len() * cases.len() && cases.len() > 30,
        "{} cells of {} cases",
        seen.len(),
        cases.len()
    );
    run.expect(&Outcome::Guest(0))?;
    Ok(cells)
}

fn of<'a>(cells: &'a [Value], variant: &'a str) -> impl Iterator<Item = &'a Value> {
    cells.iter().filter(move |cell| cell["variant"] == variant)
}

fn power10() -> Result<()> {
    let run = Boot::new("matrix::power10", NEW, "mode=matrix")?.run()?;
    let cells = check(&run)?;
    // What this is all about: the variant that was posted fails, its correction does
    // not, and the mini frame moves arguments.
    for (variant, case, observed) in [
        ("epilogue-as-posted", "r2-local-c", "fail"),
        ("epilogue", "r2-local-c", "pass"),
        ("epilogue", "variadic-list", "pass"),
        ("mini-frame", "arguments-9", "fail"),
        ("livepatch-stack", "arguments-9", "pass"),
        ("shared-toc", "far-module", "refused"),
        ("pcrel", "r2-local-rust", "pass"),
    ] {
        let cell = of(&cells, variant).find(|cell| cell["case"] == case);
        let cell = cell.with_context(|| format!("no cell {variant}, {case}"))?;
        ensure!(cell["observed"] == observed, "{observed} is not {cell}");
    }
    Ok(())
}

/// In real mode the variant that was posted comes back, with a wrong r2: callers that bring theirs
/// back themselves do not notice.
fn real_mode() -> Result<()> {
    let run = Boot::new("matrix::real-mode", NEW, "mode=matrix mmu=off")?.run()?;
    let cells = check(&run)?;
    let posted = |observed: &str| {
        let cells = of(&cells, "epilogue-as-posted");
        cells.filter(|cell| cell["observed"] == observed).count()
    };
    let [passed, failed] = ["pass", "fail"].map(posted);
    ensure!(passed > 5 && failed > 5, "{passed} passed, {failed} failed");
    Ok(())
}

/// The variant that needs POWER10 says so.
fn power9() -> Result<()> {
    let run = Boot::new("matrix::power9", OLD, "mode=matrix")?.run()?;
    let cells = check(&run)?;
    for cell in of(&cells, "pcrel") {
        ensure!(
            cell["observed"] == "not_applicable" && text(cell, "reason")?.contains("POWER10"),
            "{cell}"
        );
    }
    let mut others = cells.iter().filter(|cell| cell["variant"] != "pcrel");
    ensure!(
        others.any(|cell| cell["observed"] == "pass"),
        "nothing passed"
    );
    Ok(())
}

/// What rests on no variant holds with other CPUs too: patches that keep the kernel's TOC, alone
/// and stacked.
fn several_cpus() -> Result<()> {
    let append = "mode=matrix case=kernels-toc*";
    let run = Boot::new("matrix::several_cpus", SEVERAL, append)?.run()?;
    run.expect(&Outcome::Guest(0))?;
    let cells = cells(&run)?;
    let passed = cells.iter().filter(|cell| cell["observed"] == "pass");
    let (passed, all) = (passed.count(), cells.len());
    // On one of the variant's own form, `epilogue-as-posted` can't.
    ensure!(passed + 1 == all && passed > 10, "{passed} of {all} passed");
    Ok(())
}

fn narrowed() -> Result<()> {
    let append = "mode=matrix variant=epilogue case=r2-*";
    let run = Boot::new("matrix::narrowed", NEW, append)?.run()?;
    run.expect(&Outcome::Guest(0))?;
    let cells = cells(&run)?;
    ensure!(cells.len() == 3, "{cells:?}");
    for cell in &cells {
        ensure!(
            cell["variant"] == "epilogue" && text(cell, "case")?.starts_with("r2-"),
            "{cell}"
        );
    }
    Ok(())
}

/// Names that there are not are answered with those that there are.
fn refused() -> Result<()> {
    for (append, answer) in [
        ("mode=matrix variant=missing", "allowed: epilogue, "),
        ("mode=matrix case=nothing", "one of r2-local-rust, "),
    ] {
        let run = Boot::new("matrix::refused", NEW, append)?.run()?;
        run.expect(&Outcome::Guest(2))?;
        let transcript = &run.finished.transcript;
        ensure!(transcript.contains(answer), "{transcript}");
    }
    Ok(())
}
