//! From crates to archives: cargo.

use super::USUAL;
use crate::image::{self, Image};
use crate::tool;
use anyhow::{Context, Result, bail, ensure};
use klp::Convention;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// How a package is built for the bare machine. The -Z flags need `RUSTC_BOOTSTRAP=1`, which
/// [`tool::cargo_for_kernel`] sets; in an `[unstable]` table they would reach the host's crates
/// as well wherever cargo heeds it.
pub const BARE: [&str; 6] = [
    "-Zjson-target-spec",
    "-Zbuild-std=core,alloc,compiler_builtins",
    "-Zbuild-std-features=compiler-builtins-mem,optimize_for_size",
    "--release",
    "--target",
    ".cargo/powerpc64le-klplab.json",
];

/// The target of PC-relative code: it has another `core`.
const PCREL: &str = ".cargo/powerpc64le-klplab-pwr10.json";

/// Cargo's name for the folder of its intermediate files.
pub const BUILD_DIR: &str = "CARGO_BUILD_BUILD_DIR";

/// A crate in `patches/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its manifest.
    pub manifest: PathBuf,
    /// The images that pack its module, beside the largest, which packs all.
    images: Vec<Image>,
    /// Whether its module keeps the kernel's TOC, whatever convention is asked for: it is
    /// built in [`Convention::Plain`] for each.
    pub(super) keeps_kernels_toc: bool,
}

impl Package {
    /// The convention that its module is built in where this one is asked for.
    #[must_use]
    pub fn convention_for(&self, asked: Convention) -> Convention {
        if self.keeps_kernels_toc {
            Convention::Plain
        } else {
            asked
        }
    }

    /// Whether an image packs its module.
    #[must_use]
    pub fn is_packed_by(&self, image: Image) -> bool {
        image == Image::Test || self.images.contains(&image)
    }
}

/// The crates in `patches/`, by name.
///
/// # Errors
/// When a manifest there can't be read.
pub fn packages() -> Result<Vec<Package>> {
    let folder = tool::workspace().join("patches");
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("{} can't be read", folder.display()))?;
    let mut packages = Vec::new();
    for entry in entries {
        let manifest = entry?.path().join("Cargo.toml");
        if manifest.is_file() {
            let package = package(&manifest).with_context(|| manifest.display().to_string())?;
            packages.push(package);
        }
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

/// What a manifest says.
fn package(manifest: &Path) -> Result<Package> {
    let text = String::from_utf8(tool::read_file(manifest)?).context("not UTF-8")?;
    let table: toml::Table = toml::from_str(&text)?;
    let package = table.get("package").context("no package")?;
    let name = package.get("name").and_then(toml::Value::as_str);
    let metadata = package.get("metadata").and_then(|all| all.get("klplab"));
    let keeps_kernels_toc = match metadata.and_then(|ours| ours.get("toc")) {
        None => false,
        Some(toc) => {
            ensure!(
                toc.as_str() == Some("kernel"),
                "`toc = {toc}` under [package.metadata.klplab], expected \"kernel\" or nothing"
            );
            true
        }
    };
    let images = match metadata.and_then(|ours| ours.get("images")) {
        None => vec![Image::Klplab],
        Some(names) => {
            let names: Vec<String> = names.clone().try_into()?;
            names
                .iter()
                .map(|name| image::named(name))
                .collect::<Result<_>>()?
        }
    };
    Ok(Package {
        name: name.context("no name")?.to_owned(),
        manifest: manifest.to_owned(),
        images,
        keeps_kernels_toc,
    })
}

/// The archives that cargo makes of the crates, in their order. Those of another
/// convention or level take the place of these.
pub fn archives(
    packages: &[&Package],
    convention: Convention,
    opt: Option<&str>,
    target: &Path,
) -> Result<Vec<PathBuf>> {
    let mut cargo = tool::cargo_for_kernel()?;
    cargo.arg("build").arg("--locked");
    let [options @ .., usual] = BARE;
    let machine = match convention {
        Convention::Pcrel => PCREL,
        Convention::Plain | Convention::Epilogue | Convention::AsPosted => usual,
    };
    cargo.args(options).arg(machine);
    if convention != USUAL {
        cargo.arg(format!("--features=klp/{}", convention.name()));
    }
    cargo.arg("--message-format=json-render-diagnostics");
    cargo.arg("--target-dir").arg(target);
    // What is no crate of ours is the same for every target folder: `core` takes long.
    if std::env::var_os(BUILD_DIR).is_none() {
        cargo.env(BUILD_DIR, tool::target_dir());
    }
    let names = packages.iter().map(|package| package.name.as_str());
    for name in names.clone() {
        cargo.args(["--package", name]);
    }
    if let Some(opt) = opt {
        // The others keep their level: `core` is the same for all of them.
        let level = match opt.parse::<u8>() {
            Ok(level) => level.to_string(),
            Err(_) => format!("{opt:?}"),
        };
        for name in names.chain(["klp"]) {
            let setting = format!("profile.release.package.{name}.opt-level={level}");
            cargo.args(["--config", &setting]);
        }
    }
    cargo.stderr(Stdio::inherit());
    let output = tool::output(&mut cargo)?;
    ensure!(
        output.status.success(),
        "the patches did not build: `cargo build` failed"
    );
    let messages = String::from_utf8_lossy(&output.stdout);
    let archive = |package: &&Package| archive_of(package, &messages);
    packages.iter().map(archive).collect()
}

/// The static library of a package, as cargo's messages, one JSON object a line,
/// tell of it.
fn archive_of(package: &Package, messages: &str) -> Result<PathBuf> {
    for line in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("cargo printed a message that is not JSON")?;
        let manifest = message["manifest_path"].as_str().map(Path::new);
        if manifest == Some(&package.manifest)
            && message["target"]["kind"][0] == "staticlib"
            && let Some(path) = message["filenames"][0].as_str()
        {
            return Ok(path.into());
        }
    }
    bail!(
        "cargo built no static library of `{}`: a patch needs crate-type = [\"staticlib\"]",
        package.name
    )
}
