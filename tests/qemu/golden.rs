//! Golden output: what the console shows for every kind of crash and for boot
//! arguments that make no sense, line by line.
//!
//! The expected text is in `tests/golden`. What differs from build to build or
//! from run to run is filtered first. After a change that is meant,
//! `make accept FILTER=golden` writes the new text; look at what it changed
//! before you commit it. (Without make: `INSTA_UPDATE=always cargo test`.)

use crate::harness::{Boot, kernel, own_variants, trial};
use anyhow::{Context, Result, anyhow, ensure};
use libtest_mimic::Trial;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use xtask::image::Image;
use xtask::outcome::Outcome;

/// Kinds of crash and the status that each ends with.
const CRASHES: [(&str, u8); 27] = [
    ("panic", 3),
    ("bounds", 3),
    ("heap-exhausted", 3),
    ("illegal", 4),
    ("trap", 4),
    ("guards", 4),
    ("alignment", 4),
    ("jump", 4),
    ("float", 4),
    ("system-call", 4),
    ("trace", 4),
    ("fault-in-report", 6),
    ("recursion", 5),
    ("guard", 5),
    ("overrun", 5),
    ("stack-pointer", 5),
    ("stack-pointer-high", 5),
    ("thread-panic", 3),
    ("thread-overflow", 5),
    ("thread-overrun", 5),
    ("low-yield", 5),
    ("low-sleep", 5),
    ("table", 3),
    ("lock-order", 3),
    ("lock-cycle", 3),
    ("lock-sleep", 3),
    ("lock-wait", 3),
];

/// The refusal that lists the variants.
const VARIANT: &str = "variant";

/// Boot arguments that the kernel refuses.
const REFUSED: [(&str, &str); 10] = [
    ("unknown-key", "mood=run"),
    ("no-key", "=run"),
    ("bad-value", "mode=walk"),
    ("no-value", "log="),
    ("only-key", "log"),
    ("twice", "log=info log=debug"),
    ("test-without-mode", "test=heap::*"),
    ("no-such-test", "mode=selftest test=no::such"),
    ("crash-kind", "crash=boredom"),
    (VARIANT, "variant=telepathy"),
];

/// What differs without meaning anything: a pattern and what replaces it.
const FILTERS: [(&str, &str); 9] = [
    // How many pairs are met depends on what interrupts come when.
    (
        r"\d+ pairs of locks were taken in order",
        "[count] pairs of locks were taken in order",
    ),
    // How deep a recursion gets depends on the size of its frames.
    (r"again, \d+ frames", "again, [count] frames"),
    // Registers and addresses depend on where the linker put things, or on
    // when an interrupt came.
    (r"\b[0-9a-f]{16}\b", "[64 bits]"),
    (r"\b[0-9a-f]{8}\b", "[32 bits]"),
    // Offset and size, behind a function's name.
    (r"\+0x[0-9a-f]+/0x[0-9a-f]+", "+[offset]"),
    // Shorter numbers are interrupt vectors and the like.
    (r"0x[0-9a-f]{5,}", "[address]"),
    // What was called last in an interrupted function is a matter of inlining.
    (r"(?m)^lr   \[64 bits\]  .*$", "lr   [64 bits]  [function]"),
    // Where the toolchain was built from source.
    (r"/\S*/library/", "[rust]/library/"),
    (r"\.rs:\d+(:\d+)?", ".rs:[line]"),
];

/// What QEMU makes of a jump to where no memory is: 7.2 finds zeros there, 10.0 checks.
const NOTHING_THERE: [(&str, &str); 1] = [(
    r"0x700: program \(illegal instruction\)|0x200: machine check",
    "[nothing there]",
)];

pub fn trials() -> Vec<Trial> {
    let crash = |(kind, status)| {
        let name = format!("golden::crash-{kind}");
        trial(&name.clone(), move || {
            golden(&name, &format!("crash={kind}"), status)
        })
    };
    let refusal = |(what, append): (&'static str, &'static str)| {
        let name = format!("golden::refused-{what}");
        trial(&name.clone(), move || match what {
            VARIANT => refused_variant(&name, kernel(Image::Klplab)?),
            _ => golden(&name, append, 2),
        })
    };
    CRASHES
        .map(crash)
        .into_iter()
        .chain(REFUSED.map(refusal))
        .chain([complete()])
        .collect()
}

/// Every kind that the kernel knows has its golden output, and every golden
/// output its trial.
fn complete() -> Trial {
    trial("golden::complete", || {
        let run = Boot::new("golden::complete", "default", "crash=no-such-kind")?.run()?;
        let kinds = CRASHES.map(|(kind, _)| kind).join(", ");
        let transcript = &run.finished.transcript;
        ensure!(
            transcript.contains(&format!("allowed: {kinds}\n")),
            "{transcript}"
        );
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"))? {
            let file = entry?.file_name().into_string().unwrap_or_default();
            let name = file.trim_end_matches(".new").trim_end_matches(".snap");
            let known = crate::bench::GOLDEN.contains(&name)
                || name == crate::step::GOLDEN
                || crate::livepatch::is_golden(name)
                || CRASHES
                    .iter()
                    .any(|(kind, _)| name == format!("crash-{kind}"))
                || REFUSED
                    .iter()
                    .any(|(what, _)| name == format!("refused-{what}"));
            ensure!(known, "tests/golden/{file} belongs to no trial");
        }
        Ok(())
    })
}

/// The list of variants, without the reader's own.
pub fn refused_variant(label: &str, kernel: &Path) -> Result<()> {
    let (file, append) = ("refused-variant", "variant=telepathy");
    let run = Boot::new(label, "default", append)?.kernel(kernel).run()?;
    run.expect(&Outcome::Guest(2))?;
    let mut text = run.finished.transcript;
    for own in own_variants(kernel)? {
        ensure!(text.contains(&format!(", {own}")), "no {own} in {text}");
        text = text.replace(&format!(", {own}"), "");
    }
    compare(file, append, &text)
}

fn golden(name: &str, append: &str, status: u8) -> Result<()> {
    let run = Boot::new(name, "default", append)?.run()?;
    run.expect(&Outcome::Guest(status))?;
    let file = name.trim_start_matches("golden::");
    let filters = if file == "crash-jump" {
        &NOTHING_THERE[..]
    } else {
        &[]
    };
    if file == "crash-alignment" {
        shows_address(&run.finished.transcript)?;
    }
    compare_filtered(file, append, &run.finished.transcript, filters)
}

/// The report's DAR, which the filters hide, is the address that the load has used: a byte
/// behind a doubleword's, and in some register.
fn shows_address(report: &str) -> Result<()> {
    let (_, behind) = report.split_once("  dar ").context("no DAR")?;
    let dar = behind.split_whitespace().next().unwrap_or_default();
    let address = u64::from_str_radix(dar, 16).context("DAR is no number")?;
    let registers = behind.lines().filter(|line| line.starts_with('r'));
    let is_used = registers
        .flat_map(str::split_whitespace)
        .any(|one| one == dar);
    ensure!(address % 8 == 1 && is_used, "DAR is {dar} in:\n{report}");
    Ok(())
}

/// Compares a text with `tests/golden/FILE.snap`, what the filters name aside.
pub fn compare(file: &str, append: &str, text: &str) -> Result<()> {
    compare_filtered(file, append, text, &[])
}

/// The same with further filters, which come first.
pub fn compare_filtered(
    file: &str,
    append: &str,
    text: &str,
    filters: &[(&str, &str)],
) -> Result<()> {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(format!("boot arguments: {append}"));
    for &(pattern, replacement) in filters.iter().chain(&FILTERS) {
        settings.add_filter(pattern, replacement);
    }
    let compare = || settings.bind(|| insta::assert_snapshot!(file, text));
    // Insta has printed the difference by then.
    catch_unwind(AssertUnwindSafe(compare)).map_err(|_| {
        anyhow!("the console differs from tests/golden/{file}.snap; if it should, `make accept`")
    })
}
