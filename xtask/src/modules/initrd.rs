//! The initrd: the modules that come with a kernel, in an archive.

use super::{Conventions, Module, USUAL, build_all, build_id, replace_if_changed};
use crate::tool;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What its file name begins with.
pub const STEM: &str = "initrd";

/// Folder of the modules in the initrd.
const FOLDER: &str = "modules";

/// Builds all modules for a kernel, in each of these conventions, and packs them
/// into the initrd for those. Without any patch there is no initrd.
///
/// # Errors
/// As [`build_all`]; or when a file can't be written.
pub fn pack(kernel: &Path, conventions: &Conventions) -> Result<()> {
    let conventions = conventions.resolved_by(kernel);
    let initrd = initrd_of(kernel, &conventions);
    let count = conventions.iter().count();
    let built = (1..)
        .zip(conventions.iter())
        .try_fold(Vec::new(), |mut all, (number, one)| {
            let name = one.name();
            eprintln!(
                "klplab: building the patch modules, {number} of {count}: convention `{name}`"
            );
            all.extend(build_all(kernel, one)?);
            Ok(all)
        });
    let modules = match built {
        Ok(modules) => modules,
        Err(error) => {
            // No boot may use what was packed before.
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
pub fn pack_for(kernel: &Path, conventions: &Conventions) -> Result<()> {
    match build_id(&tool::read_file(kernel)?) {
        Ok(_) => pack(kernel, conventions),
        Err(_) => Ok(()),
    }
}

/// Where the initrd of a kernel with modules of these conventions is, if there is
/// one.
#[must_use]
pub fn initrd_of(kernel: &Path, conventions: &Conventions) -> PathBuf {
    conventions.initrd(kernel)
}

/// A line for each module in an initrd of a kernel: its name and size.
///
/// # Errors
/// When there is such an initrd and it can't be read.
pub fn listing(kernel: &Path, conventions: &Conventions) -> Result<String> {
    let initrd = initrd_of(kernel, conventions);
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

/// The name of a module's file in the initrd.
fn member(module: &Module) -> String {
    let name = &module.name;
    if module.convention == USUAL {
        return format!("{FOLDER}/{name}.ko");
    }
    format!("{FOLDER}/{}/{name}.ko", module.convention.name())
}

/// ustar, and the same for the same modules.
fn archive(modules: &[Module]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for module in modules {
        let mut header = tar::Header::new_ustar();
        header.set_path(member(module))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::packages;
    use klp::Convention;
    use std::io::Read;

    #[test]
    fn the_initrd_holds_each_module_and_nothing_of_the_time_or_the_user() {
        let module = |name: &str, convention, bytes: &[u8]| Module {
            name: name.into(),
            convention,
            path: PathBuf::new(),
            bytes: bytes.into(),
        };
        let modules = [
            module("one", Convention::Epilogue, b"first"),
            module("two", Convention::Epilogue, &[7; 1000]),
            module("one", Convention::AsPosted, b"other"),
        ];
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
            ("modules/as-posted/one.ko".to_owned(), b"other".to_vec()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn every_patch_is_found() {
        let packages = packages().unwrap();
        assert!(
            packages.iter().any(|package| package.name == "kinds"),
            "{packages:?}"
        );
    }
}
