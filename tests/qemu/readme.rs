//! What the README shows is what the kernel prints: `make accept FILTER=readme` writes a
//! run of now into it.

use crate::harness::{Boot, trial};
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use xtask::machine::SHOWN;
use xtask::outcome::Outcome;
use xtask::tool;

/// Rows of the closing table with a first count that comes from the build, and from
/// nothing else: README.md's may be of an older one, but not by more than a tenth.
const OF_THE_BUILD: [&str; 4] = ["symbols", "ftrace", "modules", "text"];

pub fn trials() -> Vec<Trial> {
    vec![trial("readme::run", run)]
}

/// A plain boot prints the block behind "`make run` prints", numbers aside.
fn run() -> Result<()> {
    let path = tool::workspace().join("README.md");
    let readme = String::from_utf8(tool::read_file(&path)?)?;
    let (before, behind) = readme
        .split_once("`make run` prints")
        .context("README.md does not say what `make run` prints")?;
    let (between, block) = behind
        .split_once("```text\n")
        .context("README.md has no `text` block behind it")?;
    let (shown, after) = block.split_once("```").context("README.md ends in it")?;
    let run = Boot::new("readme::run", "default", "")?.cpus(SHOWN).run()?;
    run.expect(&Outcome::Guest(0))?;
    let printed = &run.finished.transcript;
    // As insta does with golden output.
    if std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        let new = format!("{before}`make run` prints{between}```text\n{printed}```{after}");
        return tool::replace_file(&path, new.as_bytes());
    }
    let (shown_lines, printed_lines) = (without_numbers(shown), without_numbers(printed));
    let equal = shown_lines
        .iter()
        .zip(&printed_lines)
        .take_while(|(a, b)| a == b)
        .count();
    ensure!(
        shown_lines == printed_lines,
        "README.md differs from the console, first in line {} of the block; if it should, \
         `make accept FILTER=readme`; printed:\n{printed}",
        equal + 1
    );
    for (shown, printed) in shown.lines().zip(printed.lines()) {
        let of_build = OF_THE_BUILD
            .iter()
            .any(|name| printed.trim_start().starts_with(name));
        ensure!(
            !of_build || are_near(shown, printed),
            "README.md's numbers are of an older build: `make accept FILTER=readme`\n{shown}\n{printed}"
        );
    }
    Ok(())
}

/// Whether the first counts in two lines differ by no more than a tenth.
fn are_near(one: &str, other: &str) -> bool {
    let count = |line: &str| -> Option<u64> {
        let mut words = line.split(|c: char| c.is_whitespace() || c == ',');
        words.find_map(|word| word.parse().ok())
    };
    match (count(one), count(other)) {
        (Some(one), Some(other)) => 10 * one.abs_diff(other) <= other,
        _ => false,
    }
}

/// The lines, with one mark for every word that begins with a digit (`512`,
/// `0x400000`, `4.5ms`) and one blank between two words: columns move with the
/// width of the numbers. On several CPUs the kernel's own threads may be at a safe point before
/// they are looked at.
fn without_numbers(text: &str) -> Vec<String> {
    let mark = |word: &str| match word {
        word if word.starts_with(|c: char| c.is_ascii_digit()) => "#".to_owned(),
        // An `addi` of a negative number, such as half an address.
        "subi" => "addi".to_owned(),
        word => word.to_owned(),
    };
    let line = |line: &str| {
        let words: Vec<String> = line.split_whitespace().map(mark).collect();
        let line = words.join(" ");
        match words.first().map(String::as_str) {
            Some("livepatch" | "idle" | "idle/1") => {
                line.replace("at a safe point", "asleep with a clean stack")
            }
            _ => line,
        }
    };
    text.lines().map(line).collect()
}
