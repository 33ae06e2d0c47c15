//! `check`: everything that can be said about the source without running it.

use crate::{kernel, modules, tool, words};
use anyhow::{Result, ensure};
use std::process::Command;

/// With what only some of the host's crates' users switch on. What is for the bare machine
/// is left out beside it.
const HOST: [&str; 2] = ["--all-features", "--workspace"];

/// Runs all steps, up to the first that fails.
///
/// # Errors
/// When a step fails, or a tool is missing.
pub fn check() -> Result<()> {
    eprintln!("klplab: checking the words");
    words::check()?;

    let mut format = tool::cargo();
    format.args(["fmt", "--all", "--check"]);
    step("the formatting", format)?;

    let mut clippy = tool::cargo();
    clippy
        .args(["clippy", "--locked"])
        .args(HOST)
        .args(bare("--exclude")?)
        .args(["--all-targets", "--", "-Dwarnings"]);
    step("the host's crates (clippy)", clippy)?;

    let mut clippy = tool::cargo_for_kernel()?;
    clippy
        .args(["clippy", "--locked"])
        .args(modules::BARE)
        .args(bare("--package")?)
        .args(["--", "-Dwarnings"]);
    step("the kernel and the patches (clippy)", clippy)?;

    let mut docs = tool::cargo();
    docs.args(["doc", "--locked", "--no-deps"])
        .args(HOST)
        .args(bare("--exclude")?)
        .env("RUSTDOCFLAGS", "-Dwarnings");
    step("the documentation of the host's crates", docs)?;

    document_kernel()
}

/// Makes the documentation of the kernel's crates and the patches, where a warning is an
/// error.
///
/// # Errors
/// When there is one.
pub fn document_kernel() -> Result<()> {
    let mut docs = tool::cargo_for_kernel()?;
    docs.args(["doc", "--locked", "--no-deps"])
        .args(modules::BARE)
        .args(bare("--package")?)
        .env("RUSTDOCFLAGS", "-Dwarnings");
    step("the documentation of the kernel and the patches", docs)
}

/// An option for each package that is built for the bare machine alone: the kernel's, and
/// the patches.
fn bare(option: &str) -> Result<Vec<String>> {
    let patches = modules::packages()?.into_iter().map(|patch| patch.name);
    let names = kernel::PACKAGES
        .map(String::from)
        .into_iter()
        .chain(patches);
    Ok(names.flat_map(|name| [option.to_owned(), name]).collect())
}

fn step(what: &str, mut command: Command) -> Result<()> {
    eprintln!("klplab: checking {what}");
    let status = tool::status(&mut command)?;
    ensure!(
        status.success(),
        "{what} did not pass: see above ({status})"
    );
    Ok(())
}
