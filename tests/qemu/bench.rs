//! What things cost, in instructions: exact, and compared with what was accepted.

use crate::golden;
use crate::harness::{Boot, Run, kernel, own_variants, trial};
use anyhow::{Result, bail, ensure};
use klp::Convention;
use libtest_mimic::Trial;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use xtask::bench::{MACHINE, NEWER, PARALLEL};
use xtask::image::Image;
use xtask::outcome::Outcome;

/// The accepted counts, in `tests/golden`: of what there is beside the variants, of the
/// variants, and of the one that needs another machine.
pub const GOLDEN: [&str; 3] = ["bench", "bench-variants", "bench-pcrel"];

/// What depends on how many functions the kernel has, and where they lie. The
/// kernel holds these to their limits itself.
const LOOSE: [&str; 8] = [
    "sites", "switch_", "load_", "context_", "spawn_", "enable_", "disable_", "gap_",
];

/// What a settled call is made of.
const PARTS: [&str; 5] = [
    "site",
    "trampoline",
    "handoff",
    "prologue",
    "return_convention",
];

/// What else is measured of each variant.
const WHOLE: [&str; 7] = [
    "rest",
    "traced",
    "traced_regs",
    "transition",
    "settled",
    "stack_bytes",
    "code_bytes",
];

/// What is measured once and as a whole.
const LONG: [&str; 6] = ["load_", "enable_", "disable_", "gap_", "spawn_", "context_"];

pub fn trials() -> Vec<Trial> {
    vec![
        trial("bench::counts", counts),
        trial("bench::newer", newer),
        trial("bench::more_cpus", more_cpus),
        trial("bench::inexact", inexact),
        trial("bench::throughput", throughput),
        trial("bench::refused", refused),
    ]
}

/// Two runs count the same, everything is within its limit, and the cost of a
/// call is what was accepted.
fn counts() -> Result<()> {
    let first = Boot::new("bench::counts", MACHINE, "mode=bench")?.run()?;
    first.expect(&Outcome::Guest(0))?;
    let second = Boot::new("bench::again", MACHINE, "mode=bench")?.run()?;
    let (all, again) = (rows(&first, &LONG)?, rows(&second, &LONG)?);
    ensure!(all == again, "two runs differ:\n{all}\n{again}");
    // A tick of the timebase is two instructions: one measurement as a whole
    // may begin on either side of one. Where the CPU is ceded meanwhile, the host's
    // clock has a say in when it goes on.
    for (one, other) in first.events("measure").iter().zip(second.events("measure")) {
        let (a, b) = (one["value"].as_u64(), other["value"].as_u64());
        let is_gap = one["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("gap_"));
        let close = |(a, b): (u64, u64)| a.abs_diff(b) <= if is_gap { a / 50 } else { 4 };
        ensure!(
            a.zip(b).is_some_and(close),
            "two runs differ: {one} and {other}"
        );
    }
    ensure!(
        first.events("cost") == second.events("cost"),
        "two runs differ: {:?}\n{:?}",
        first.events("cost"),
        second.events("cost")
    );
    let many = xtask::bench::among_many(&first.records);
    let functions: Vec<u64> = many.iter().map(|(functions, _)| *functions).collect();
    ensure!(functions == [1, 10, 100, 1000], "{many:?}");
    ensure!(
        many.iter().all(|(_, cost)| *cost == many[0].1),
        "with more patched functions, a call costs something else: {many:?}"
    );
    variants(&first, kernel(Image::Lab)?)?;
    let settled = |variant: &str| value(&first, variant, "settled");
    ensure!(
        settled("shared-toc")? < settled("epilogue")?,
        "nothing to be brought back costs nothing less"
    );
    golden::compare(GOLDEN[0], "mode=bench", &rows(&first, &LOOSE)?)
}

/// The costs of variants in a run of `mode=bench`: within their limits, and as accepted,
/// the reader's own aside.
pub fn variants(run: &Run, kernel: &Path) -> Result<()> {
    let is_newer = |name: &str| {
        let all = xtask::variants::of(kernel).unwrap_or_default();
        let convention = all.iter().find(|(known, _)| known == name);
        convention.is_some_and(|(_, convention)| *convention == Convention::Pcrel)
    };
    check(run, kernel, |name| !is_newer(name))?;
    golden::compare(GOLDEN[1], "mode=bench", &costs(run, kernel)?)
}

/// The variant that the other machine can't do, and no other.
fn newer() -> Result<()> {
    let append = "mode=bench variant=pcrel";
    let run = Boot::new("bench::newer", NEWER, append)?.run()?;
    run.expect(&Outcome::Guest(0))?;
    check(&run, kernel(Image::Lab)?, |name| name == "pcrel")?;
    ensure!(run.events("measure").is_empty(), "more than was asked for");
    golden::compare(GOLDEN[2], append, &costs(&run, kernel(Image::Lab)?)?)
}

/// A call costs on one CPU what it costs with three more.
fn more_cpus() -> Result<()> {
    let costs = |machine: &str| {
        let run = Boot::new("bench::more_cpus", machine, "mode=bench variant=epilogue")?.run()?;
        run.expect(&Outcome::Guest(0))?;
        anyhow::Ok(run.events("cost").into_iter().cloned().collect::<Vec<_>>())
    };
    let (one, more) = (costs(MACHINE)?, costs("icount-smp")?);
    ensure!(!one.is_empty() && one == more, "{one:?}\n{more:?}");
    Ok(())
}

/// A variant that there is not, and one that the machine can't do.
fn refused() -> Result<()> {
    for (variant, answer) in [
        ("missing", "allowed: epilogue, "),
        ("pcrel", "POWER10"),
        ("epilogue-as-posted", "see `mmu=off`"),
    ] {
        let append = format!("mode=bench variant={variant}");
        let run = Boot::new("bench::refused", MACHINE, &append)?.run()?;
        run.expect(&Outcome::Guest(2))?;
        let transcript = &run.finished.transcript;
        ensure!(transcript.contains(answer), "{transcript}");
        ensure!(run.events("cost").is_empty(), "measured all the same");
    }
    Ok(())
}

/// Everything is there of each variant that should be, within its limits, and in the
/// form of the file; the parts make the whole; and the instructions are there one by
/// one.
fn check(run: &Run, kernel: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let rows = xtask::bench::rows(&run.records);
    let file = xtask::bench::file(&rows);
    ensure!(file["schema"] == 1, "{file}");
    let known = come_back(kernel)?;
    let known = known.iter().map(String::as_str);
    let known: Vec<&str> = known.filter(|name| wanted(name)).collect();
    let all = file["rows"].as_array().map_or(0, Vec::len);
    let each = PARTS.len() + WHOLE.len();
    ensure!(all == known.len() * each, "{all} rows of {known:?}");
    for variant in known {
        let mut sum = 0;
        for measure in PARTS {
            sum += value(run, variant, measure)?;
        }
        for measure in WHOLE {
            value(run, variant, measure)?;
        }
        let settled = value(run, variant, "settled")?;
        ensure!(
            sum == settled,
            "{variant}: {sum} by parts, {settled} in all"
        );
        let path = run.events("path").into_iter();
        let path: Vec<&Value> = path.filter(|record| record["variant"] == variant).collect();
        // Two words of the site, and the last return.
        ensure!(
            path.len() as u64 == settled + 3,
            "{variant}: a path of {}",
            path.len()
        );
        for part in &PARTS[1..] {
            let found = path.iter().filter(|record| record["part"] == *part).count() as u64;
            let counted = value(run, variant, part)? + u64::from(*part == "prologue");
            ensure!(
                found == counted,
                "{variant}: {found} instructions of {part}"
            );
        }
    }
    for row in rows {
        ensure!(row.fits(), "beyond its limit: {row:?}");
    }
    Ok(())
}

/// The variants by which calls come back: where address 0 has no page, those of the mail's own sequence
/// do not.
fn come_back(kernel: &Path) -> Result<Vec<String>> {
    let mut all = xtask::variants::of(kernel)?;
    all.retain(|(_, convention)| *convention != Convention::AsPosted);
    Ok(all.into_iter().map(|(name, _)| name).collect())
}

/// What was measured of a variant.
fn value(run: &Run, variant: &str, measure: &str) -> Result<u64> {
    let rows = xtask::bench::rows(&run.records);
    let found: Vec<u64> = (rows.iter())
        .filter(|row| row.variant == variant && row.measure == measure)
        .map(|row| row.value)
        .collect();
    match found[..] {
        [value] => Ok(value),
        _ => bail!("{variant}: {} rows of {measure}", found.len()),
    }
}

/// The costs of variants, a line each. Those of the reader's own are only shown.
fn costs(run: &Run, kernel: &Path) -> Result<String> {
    let own = own_variants(kernel)?;
    let mut text = String::new();
    for row in xtask::bench::rows(&run.records) {
        if own.contains(&row.variant) {
            println!(
                "{} {}: {} {}",
                row.variant, row.measure, row.value, row.unit
            );
            continue;
        }
        let limit = row
            .limit
            .map_or(String::new(), |limit| format!(", at most {limit}"));
        writeln!(
            text,
            "{} {}: {} {}{limit}",
            row.variant, row.measure, row.value, row.unit
        )?;
    }
    Ok(text)
}

/// Where time does not count instructions, the meter says so and fails.
fn inexact() -> Result<()> {
    let run = Boot::new("bench::inexact", "default", "mode=bench")?.run()?;
    run.expect(&Outcome::Guest(1))?;
    let transcript = &run.finished.transcript;
    ensure!(transcript.contains("not a whole number"), "{transcript}");
    Ok(())
}

/// How many calls two CPUs make beside one is there of each variant, both ways. It comes from
/// time, and the host may be busy: so it is only looked at whether it makes sense. One CPU is
/// too few, and said to be.
fn throughput() -> Result<()> {
    let (machine, cpus) = PARALLEL;
    let boot = Boot::new("bench::throughput", machine, "mode=throughput")?;
    let run = boot.cpus(cpus).run()?;
    run.expect(&Outcome::Guest(0))?;
    let known = come_back(kernel(Image::Lab)?)?;
    for variant in &known {
        for measure in ["cpus_2_ratio", "cpus_2_ratio_transition"] {
            let hundredths = value(&run, variant, measure)?;
            println!("{variant} {measure}: {hundredths} hundredths");
            let sensible = 20..=1000;
            ensure!(
                sensible.contains(&hundredths),
                "{variant}: {hundredths} hundredths"
            );
        }
    }
    ensure!(run.events("cost").len() == 2 * known.len(), "more rows");
    let one = Boot::new("bench::throughput::one", machine, "mode=throughput")?.run()?;
    one.expect(&Outcome::Guest(1))?;
    let transcript = &one.finished.transcript;
    ensure!(transcript.contains("it takes two CPUs"), "{transcript}");
    Ok(())
}

/// The measurements, a line each, without those with names that begin like `left_out`.
fn rows(run: &Run, left_out: &[&str]) -> Result<String> {
    let mut text = String::new();
    for row in run.events("measure") {
        let name = row["name"].as_str().unwrap_or_default();
        if !left_out.iter().any(|prefix| name.starts_with(prefix)) {
            let unit = row["unit"].as_str().unwrap_or_default();
            writeln!(text, "{name}: {} {unit}", row["value"])?;
        }
    }
    ensure!(!text.is_empty(), "nothing was measured");
    Ok(text)
}
