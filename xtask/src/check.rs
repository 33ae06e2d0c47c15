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
    let patches = modules::packages()?;
    // The kernel's packages, and the patches.
    let bare = |option: &'static str| {
        let patches = patches.iter().map(|patch| patch.name.as_str());
        let names = kernel::PACKAGES.into_iter().chain(patches);
        names.flat_map(move |name| [option, name])
    };

    eprintln!("klplab: checking the words");
    words::check()?;

    let mut format = tool::cargo();
    format.args(["fmt", "--all", "--check"]);
    step("the formatting", format)?;

    let mut clippy = tool::cargo();
    clippy
        .args(["clippy", "--locked"])
        .args(HOST)
        .args(bare("--exclude"))
        .args(["--all-targets", "--", "-Dwarnings"]);
    step("the host's crates (clippy)", clippy)?;

    let mut clippy = tool::cargo_for_kernel()?;
    clippy
        .args(["clippy", "--locked"])
        .args(modules::BARE)
        .args(bare("--package"))
        .args(["--", "-Dwarnings"]);
    step("the kernel and the patches (clippy)", clippy)?;

    let mut docs = tool::cargo();
    docs.args(["doc", "--locked", "--no-deps"])
        .args(HOST)
        .args(bare("--exclude"))
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
    let patches = modules::packages()?;
    let patches = patches.iter().map(|patch| patch.name.as_str());
    let names = kernel::PACKAGES.into_iter().chain(patches);
    let mut docs = tool::cargo_for_kernel()?;
    docs.args(["doc", "--locked", "--no-deps"])
        .args(modules::BARE)
        .args(names.flat_map(|name| ["--package", name]))
        .env("RUSTDOCFLAGS", "-Dwarnings");
    step("the documentation of the kernel and the patches", docs)
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
