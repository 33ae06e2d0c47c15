//! What the README shows is what the kernel prints.

use crate::harness::{Boot, trial};
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use xtask::outcome::Outcome;

const README: &str = include_str!("../../README.md");

pub fn trials() -> Vec<Trial> {
    vec![trial("readme::run", run)]
}

/// A plain boot prints the block behind "`make run` prints", numbers aside.
fn run() -> Result<()> {
    let (_, behind) = README
        .split_once("`make run` prints")
        .context("README.md does not say what `make run` prints")?;
    let (shown, _) = behind
        .split_once("```console\n")
        .and_then(|(_, block)| block.split_once("```"))
        .context("README.md has no console block behind it")?;
    let run = Boot::new("readme::run", "default", "")?.run()?;
    run.expect(&Outcome::Guest(0))?;
    let printed = &run.finished.transcript;
    let (shown_lines, printed_lines) = (without_numbers(shown), without_numbers(printed));
    let equal = shown_lines
        .iter()
        .zip(&printed_lines)
        .take_while(|(a, b)| a == b)
        .count();
    ensure!(
        shown_lines == printed_lines,
        "README.md differs from the console, first in line {} of the block; printed:\n{printed}",
        equal + 1
    );
    Ok(())
}

/// The lines, with one mark for every word that begins with a digit (`512`,
/// `0x400000`, `4.5ms`) and one blank between two words: columns move with the
/// width of the numbers.
fn without_numbers(text: &str) -> Vec<String> {
    let mark = |word: &str| match word {
        word if word.starts_with(|c: char| c.is_ascii_digit()) => "#".to_owned(),
        // An `addi` of a negative number, such as half an address.
        "subi" => "addi".to_owned(),
        word => word.to_owned(),
    };
    let line = |line: &str| {
        line.split_whitespace()
            .map(mark)
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines().map(line).collect()
}
