//! Patch modules: from the crates in `patches/` to the initrd.
//!
//! Each crate is built for the bare machine as a static library, and linked on
//! its own into a relocatable file with what it uses of `core` and of the
//! shared crate `klp`. The kernel's build id is written into its descriptor, its
//! replacement functions are proved to follow their return convention
//! ([`crate::proof`]), and it becomes a member `modules/NAME.ko` of the initrd.
//! Beside each `NAME.ko` lies `NAME.debug.ko`, the same with debug information.

mod build;
mod link;

pub use build::{BARE, Package, packages};
pub use link::{build_id, stamp};

use crate::{proof, tool};
use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Folder of the modules in the initrd.
const FOLDER: &str = "modules";

/// A linked module.
#[derive(Clone, Debug)]
pub struct Module {
    /// The crate's name.
    pub name: String,
    /// Where it belongs.
    pub path: PathBuf,
    /// The file, without debug information.
    pub bytes: Vec<u8>,
}

/// Builds and links all modules.
///
/// With `opt`, the patches and `klp` are compiled at that optimisation level,
/// such as `"0"` or `"s"`, and everything lies in a folder of its own, `proof` in
/// cargo's target folder.
///
/// # Errors
/// When a crate does not build or link.
pub fn link_all(opt: Option<&str>) -> Result<Vec<Module>> {
    let packages = packages()?;
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let target = match opt {
        None => tool::target_dir(),
        Some(_) => tool::target_dir().join("proof"),
    };
    let folder = target.join("klplab").join(FOLDER);
    let folder = opt.map_or(folder.clone(), |opt| folder.join(opt));
    let archives = build::archives(&packages, opt, &target)?;
    let mut modules = Vec::new();
    for (Package { name, .. }, archive) in packages.into_iter().zip(archives) {
        let path = folder.join(format!("{name}.ko"));
        let bytes = link::link(&archive, &path)
            .with_context(|| format!("the module {name} could not be linked"))?;
        modules.push(Module { name, path, bytes });
    }
    Ok(modules)
}

/// Builds, links, proves and stamps all modules for a kernel.
///
/// # Errors
/// When a crate does not build or link, the kernel has no build id, or a
/// replacement function can't be proved: then every instruction that breaks a
/// rule is named.
pub fn build_all(kernel: &Path) -> Result<Vec<Module>> {
    let linked = link_all(None)?;
    if linked.is_empty() {
        return Ok(Vec::new());
    }
    let id = build_id(&tool::read_file(kernel)?)
        .with_context(|| format!("{} has no build id", kernel.display()))?;
    let mut modules = Vec::new();
    let mut failures = String::new();
    for Module { name, path, bytes } in linked {
        let what = || format!("the module {name}");
        if let proof::Outcome::Violated(found) = proof::prove(&bytes).with_context(what)? {
            for violation in found {
                let _ = write!(failures, "\n  {name}: {violation}");
            }
            continue;
        }
        let bytes = stamp(bytes, &id).with_context(what)?;
        replace_if_changed(&path, &bytes)?;
        modules.push(Module { name, path, bytes });
    }
    ensure!(
        failures.is_empty(),
        "functions of the patches break a rule:{failures}"
    );
    Ok(modules)
}

/// Builds all modules for a kernel and packs them into the initrd, `initrd.tar`
/// beside the kernel. Without any patch there is no initrd.
///
/// # Errors
/// As [`build_all`]; or when a file can't be written.
pub fn pack(kernel: &Path) -> Result<()> {
    let initrd = initrd_of(kernel);
    let modules = match build_all(kernel) {
        Ok(modules) => modules,
        Err(error) => {
            // Nobody shall boot with what was packed before.
            let _ = std::fs::remove_file(&initrd);
            return Err(error);
        }
    };
    if modules.is_empty() {
        return match std::fs::remove_file(&initrd) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} could not be removed", initrd.display()))
            }
            _ => Ok(()),
        };
    }
    replace_if_changed(&initrd, &archive(&modules)?)
}

/// The same for whatever was linked: a kernel without a build id gets no modules.
///
/// # Errors
/// As [`pack`].
pub fn pack_for(kernel: &Path) -> Result<()> {
    match build_id(&tool::read_file(kernel)?) {
        Ok(_) => pack(kernel),
        Err(_) => Ok(()),
    }
}

/// Where the initrd of a kernel is, if it has one.
#[must_use]
pub fn initrd_of(kernel: &Path) -> PathBuf {
    kernel.with_file_name("initrd.tar")
}

/// A line for each module in the initrd of a kernel: its name and size.
///
/// # Errors
/// When there is an initrd and it can't be read.
pub fn listing(kernel: &Path) -> Result<String> {
    let initrd = initrd_of(kernel);
    let mut lines = String::new();
    if !initrd.is_file() {
        return Ok(lines);
    }
    let bytes = tool::read_file(&initrd)?;
    for entry in tar::Archive::new(bytes.as_slice()).entries()? {
        let entry = entry.with_context(|| initrd.display().to_string())?;
        let size = entry.size();
        let _ = writeln!(lines, "{} {size} bytes", entry.path()?.display());
    }
    Ok(lines)
}

/// The initrd: ustar, and the same for the same modules.
fn archive(modules: &[Module]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for module in modules {
        let mut header = tar::Header::new_ustar();
        header.set_path(format!("{FOLDER}/{}.ko", module.name))?;
        header.set_size(module.bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        builder.append(&header, module.bytes.as_slice())?;
    }
    Ok(builder.into_inner()?)
}

/// Leaves the file alone if nothing changed, so that whoever is about to read it
/// sees no new one.
fn replace_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).ok().as_deref() != Some(bytes) {
        tool::replace_file(path, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_initrd_holds_each_module_and_nothing_of_the_time_or_the_user() {
        let module = |name: &str, bytes: &[u8]| Module {
            name: name.into(),
            path: PathBuf::new(),
            bytes: bytes.into(),
        };
        let modules = [module("one", b"first"), module("two", &[7; 1000])];
        let initrd = archive(&modules).unwrap();
        let mut archive = tar::Archive::new(initrd.as_slice());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header();
            assert!(header.as_ustar().is_some());
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (0, 0));
            let name = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            found.push((name, bytes));
        }
        let expected = [
            ("modules/one.ko".to_owned(), b"first".to_vec()),
            ("modules/two.ko".to_owned(), vec![7; 1000]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn every_patch_is_found() {
        let packages = packages().unwrap();
        assert!(
            packages.iter().any(|package| package.name == "demo"),
            "{packages:?}"
        );
    }
}
