//! Building the kernel: cargo links it, its symbol table is embedded, and the
//! patch modules for it are packed.

use crate::built::{Inputs, Record};
use crate::image::{self, Image};
use crate::live::base;
use crate::modules::Conventions;
use crate::{modules, symbols, tool};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The packages that the kernel is made of, from bottom to top. They build for the bare
/// machine alone.
pub const PACKAGES: [&str; 16] = [
    "boot",
    "machine",
    "thread",
    "ftrace",
    "tracing",
    "loader",
    "livepatch",
    "debugger",
    "demo",
    "shell",
    "live",
    "init",
    "kernel",
    "lab",
    "practice",
    "selftest",
];

/// The folder in cargo's target folder that has what is built for the bare machine.
pub(crate) const TARGET: &str = "powerpc64le-klplab";

/// The folder of one of the [`PACKAGES`], below the workspace's.
#[must_use]
pub fn folder(package: &str) -> PathBuf {
    match package {
        "boot" | "kernel" | "lab" | "selftest" => package.into(),
        "practice" => "selftest/practice".into(),
        below => Path::new("kernel").join(below),
    }
}

/// Builds an image, with the modules that it packs in these return conventions, and
/// returns the path of the ELF file to boot: [`image::path`]. The initrd is beside it.
///
/// # Errors
/// When cargo fails (it has said why on standard error by then), the symbol
/// table can't be embedded, or a module can't be packed.
pub fn build(image: Image, conventions: &Conventions) -> Result<PathBuf> {
    let inputs = Inputs::look(image)?;
    let kernel = image::path(image);
    if Record::of(&kernel, conventions).holds(&inputs) {
        return Ok(kernel);
    }
    let kernel = build_anew(image, conventions)?;
    // Only now is it known what a variant of this kernel asks for.
    Record::of(&kernel, conventions).write(&inputs)?;
    Ok(kernel)
}

/// The same without a look at what was built before.
fn build_anew(image: Image, conventions: &Conventions) -> Result<PathBuf> {
    eprintln!("klplab: building the kernel, image `{image}`");
    let built = link(image, tool::workspace(), &tool::target_dir())?;
    let kernel = prepare(&built.executable)?;
    base::keep(&kernel, &built.archives, tool::workspace())?;
    modules::pack(&kernel, conventions)?;
    Ok(kernel)
}

/// What cargo has made of an image.
#[derive(Clone, Debug)]
pub struct Built {
    /// The kernel, as linked.
    pub executable: PathBuf,
    /// The archives of objects that it was linked from, one for each crate.
    pub archives: Vec<PathBuf>,
}

/// Lets cargo link an image of the sources in a folder, in this target folder.
///
/// # Errors
/// When cargo fails: it has said why on standard error by then.
pub fn link(image: Image, tree: &Path, target: &Path) -> Result<Built> {
    let mut cargo = tool::cargo_for_kernel()?;
    // The messages name the files that were made, wherever they are; what is for
    // people is still printed on standard error.
    cargo.args(["build", "--locked"]).args(modules::BARE);
    cargo.arg("--message-format=json-render-diagnostics");
    cargo.args(["--package", image::package(image)]);
    cargo.current_dir(tree).env("CARGO_TARGET_DIR", target);
    if target != tool::target_dir() {
        // Wherever the user has cargo put what is between: it would take a copy's crates for the tree's.
        cargo.env(modules::BUILD_DIR, target);
    }
    cargo.stderr(Stdio::inherit());
    let output = tool::output(&mut cargo)?;
    ensure!(
        output.status.success(),
        "the kernel did not build: `cargo build` failed"
    );
    let messages = String::from_utf8_lossy(&output.stdout);
    Ok(Built {
        executable: executable(image.word(), &messages)?,
        archives: archives(&messages)?,
    })
}

/// Copies a kernel to `klplab/<its name>.elf` in cargo's target folder and
/// embeds the symbol table in the copy. Returns the path of the copy.
///
/// # Errors
/// When `linked` is no kernel, two of its functions are one, or a file can't be read or
/// written.
pub fn prepare(linked: &Path) -> Result<PathBuf> {
    let elf = tool::read_file(linked)?;
    let ready = symbols::each_function_is_its_own(&elf).and_then(|()| symbols::embed(elf));
    let ready = ready.with_context(|| linked.display().to_string())?;
    let name = linked
        .file_stem()
        .context("the kernel's file has no name")?;
    let path = image::file(name);
    // Left alone if nothing changed, so that a QEMU that is about to load it,
    // or make, sees no new file.
    if std::fs::read(&path).ok().as_ref() != Some(&ready) {
        tool::replace_file(&path, &ready)?;
    }
    Ok(path)
}

/// The executable of a name that cargo's messages, one JSON object a line, tell of.
fn executable(name: &str, messages: &str) -> Result<PathBuf> {
    for line in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("cargo printed a message that is not JSON")?;
        if message["target"]["name"] == name
            && let Some(path) = message["executable"].as_str()
        {
            return Ok(path.into());
        }
    }
    bail!("cargo built no executable named {name}")
}

/// The archives for the bare machine that cargo's messages tell of.
fn archives(messages: &str) -> Result<Vec<PathBuf>> {
    let mut archives = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("cargo printed a message that is not JSON")?;
        let files = message["filenames"].as_array().into_iter().flatten();
        let files = files.filter_map(|file| Some(Path::new(file.as_str()?)));
        // Macros and build scripts are for the host, and are not linked.
        let linked = files.filter(|file| {
            let is_archive = file.extension().is_some_and(|one| one == "rlib");
            is_archive && file.iter().any(|part| part == TARGET)
        });
        archives.extend(linked.map(Path::to_owned));
    }
    Ok(archives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"build-script-executed","package_id":"a"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"kernel"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"kernel"},"executable":"/t/kernel"}"#,
            "\n",
        );
        assert_eq!(
            executable("kernel", messages).unwrap(),
            Path::new("/t/kernel")
        );
        assert!(
            executable("kernel", "")
                .unwrap_err()
                .to_string()
                .contains("no executable named kernel")
        );
        assert!(executable("kernel", "warning: not json").is_err());
    }
}
