//! `check`: everything that can be said about the source without running it.

use crate::{modules, tool};
use anyhow::{Result, ensure};
use std::process::Command;

/// All but what is for the bare machine, with what only some of their users
/// switch on; patches come on top of the packages to leave out.
const HOST: [&str; 6] = [
    "--all-features",
    "--workspace",
    "--exclude",
    "boot",
    "--exclude",
    "kernel",
];
/// The kernel's packages. Patches come on top of them too.
const BARE: [&str; 4] = ["--package", "boot", "--package", "kernel"];

/// Runs all steps, up to the first that fails.
///
/// # Errors
/// When a step fails, or a tool is missing.
pub fn check() -> Result<()> {
    let patches = modules::packages()?;
    let each = |option: &'static str| {
        let names = patches.iter().map(|patch| patch.name.as_str());
        names.flat_map(move |name| [option, name])
    };

    let mut format = tool::cargo();
    format.args(["fmt", "--all", "--check"]);
    step("the formatting", format)?;

    let mut clippy = tool::cargo();
    clippy
        .args(["clippy", "--locked"])
        .args(HOST)
        .args(each("--exclude"))
        .args(["--all-targets", "--", "-Dwarnings"]);
    step("the host's crates (clippy)", clippy)?;

    let mut clippy = tool::cargo_for_kernel()?;
    clippy
        .args(["clippy", "--locked"])
        .args(modules::BARE)
        .args(BARE)
        .args(each("--package"))
        .args(["--", "-Dwarnings"]);
    step("the kernel and the patches (clippy)", clippy)?;

    let mut docs = tool::cargo();
    docs.args(["doc", "--locked", "--no-deps"])
        .args(HOST)
        .args(each("--exclude"))
        .env("RUSTDOCFLAGS", "-Dwarnings");
    step("the documentation of the host's crates", docs)?;

    let mut docs = tool::cargo_for_kernel()?;
    docs.args(["doc", "--locked", "--no-deps"])
        .args(modules::BARE)
        .args(BARE)
        .args(each("--package"))
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
