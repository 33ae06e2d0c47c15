//! `check`: everything that can be said about the source without running it.

use crate::tool;
use anyhow::{Result, ensure};
use std::process::Command;

/// All but the kernel's packages, with what only some of their users switch on.
const HOST: [&str; 6] = [
    "--all-features",
    "--workspace",
    "--exclude",
    "boot",
    "--exclude",
    "kernel",
];
/// The kernel's packages and what the alias `kernel` says about their target.
const BARE: [&str; 10] = [
    "-Zjson-target-spec",
    "-Zbuild-std=core,alloc,compiler_builtins",
    "-Zbuild-std-features=compiler-builtins-mem",
    "--release",
    "--package",
    "boot",
    "--package",
    "kernel",
    "--target",
    ".cargo/powerpc64le-klplab.json",
];

/// Runs all steps, up to the first that fails.
///
/// # Errors
/// When a step fails, or a tool is missing.
pub fn check() -> Result<()> {
    let mut format = tool::cargo();
    format.args(["fmt", "--all", "--check"]);
    step("the formatting", format)?;

    let mut clippy = tool::cargo();
    clippy
        .args(["clippy", "--locked"])
        .args(HOST)
        .args(["--all-targets", "--", "-Dwarnings"]);
    step("the host's crates (clippy)", clippy)?;

    let mut clippy = tool::cargo_for_kernel()?;
    clippy
        .args(["clippy", "--locked"])
        .args(BARE)
        .args(["--", "-Dwarnings"]);
    step("the kernel (clippy)", clippy)?;

    let mut docs = tool::cargo();
    docs.args(["doc", "--locked", "--no-deps"])
        .args(HOST)
        .env("RUSTDOCFLAGS", "-Dwarnings");
    step("the documentation of the host's crates", docs)?;

    let mut docs = tool::cargo_for_kernel()?;
    docs.args(["doc", "--locked", "--no-deps"])
        .args(BARE)
        .env("RUSTDOCFLAGS", "-Dwarnings");
    step("the documentation of the kernel", docs)
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
