//! Patch modules: from the crates in `patches/` to the initrd.
//!
//! Each crate is built for the bare machine as a static library, and linked on
//! its own into a relocatable file with what it uses of `core` and of the
//! shared crate `klp`: once for each return convention that is wanted, which is a
//! feature of that crate. The kernel's build id is written into its descriptor, its
//! replacement functions are proved to follow their return convention
//! ([`crate::proof`]), and it becomes a member of the initrd: `modules/NAME.ko`, and
//! `modules/CONVENTION/NAME.ko` of all conventions but the usual one. Beside each
//! `NAME.ko` in the target folder lies `NAME.debug.ko`, the same with debug
//! information.

mod build;
mod conventions;
mod initrd;
mod link;

pub use build::{BARE, BUILD_DIR, Package, packages};
pub use conventions::{Conventions, USUAL};
pub use initrd::{initrd_of, listing, pack, pack_for};
pub use link::{build_id, stamp};

use crate::image::{self, Image};
use crate::parallel;
use crate::proof::{self, Rule, Violation};
use crate::tool;
use anyhow::{Context, Result, ensure};
use klp::Convention;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A linked module.
#[derive(Clone, Debug)]
pub struct Module {
    /// The crate's name.
    pub name: String,
    /// The return convention that was asked for: it was built in that, unless it keeps the
    /// kernel's TOC and suits all.
    pub convention: Convention,
    /// Where it belongs.
    pub path: PathBuf,
    /// The file, without debug information.
    pub bytes: Vec<u8>,
}

/// Where the modules of a kernel are, in a folder for each return convention.
#[must_use]
pub fn folder(kernel: &Path) -> PathBuf {
    kernel
        .with_file_name("modules")
        .join(image::of(kernel).word())
}

/// Builds and links the modules that an image packs, in a return convention.
///
/// With `opt`, the patches and `klp` are compiled at that optimisation level,
/// such as `"0"` or `"s"`, and everything lies in a folder of its own, `proof` in
/// cargo's target folder.
///
/// # Errors
/// When a crate does not build or link.
pub fn link_all(image: Image, convention: Convention, opt: Option<&str>) -> Result<Vec<Module>> {
    let mut packages = packages()?;
    packages.retain(|package| package.is_packed_by(image));
    packages.retain(|package| convention == USUAL || !proof::EXERCISES.contains(&&*package.name));
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let target = match opt {
        None => tool::target_dir(),
        Some(_) => tool::target_dir().join("proof"),
    };
    let folder = target.join("klplab").join("modules");
    // Cargo puts the archives of all conventions and levels in the same place.
    let _lock = lock(&folder)?;
    let folder = folder.join(image.word()).join(convention.name());
    let folder = opt.map_or(folder.clone(), |opt| folder.join(opt));
    let mut modules = Vec::new();
    for built_in in BTreeSet::from([convention, Convention::Plain]) {
        let group = packages.iter();
        let group = group.filter(|package| package.convention_for(convention) == built_in);
        let group: Vec<&Package> = group.collect();
        if group.is_empty() {
            continue;
        }
        let archives = build::archives(&group, built_in, opt, &target)?;
        let places: Vec<(PathBuf, PathBuf)> = group
            .iter()
            .map(|package| folder.join(format!("{}.ko", package.name)))
            .zip(archives)
            .collect();
        let linked = parallel::map(&places, |(path, archive)| link::link(archive, path));
        for ((package, (path, _)), bytes) in group.into_iter().zip(places).zip(linked) {
            let name = &package.name;
            let bytes = bytes.with_context(|| format!("the module {name} could not be linked"))?;
            let keeps = link::keeps_kernels_toc(&bytes).with_context(|| name.clone())?;
            ensure!(
                keeps == package.keeps_kernels_toc,
                "`toc: kernel` in the `klp::module!` of {name} and `toc = \"kernel\"` under \
                 [package.metadata.klplab] in its manifest go together, and one is missing"
            );
            modules.push(Module {
                name: name.clone(),
                convention,
                path,
                bytes,
            });
        }
    }
    modules.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(modules)
}

/// Waits until no other process builds modules in a folder, and keeps others from it as
/// long as the file is open.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let locked = std::fs::create_dir_all(folder)
        .and_then(|()| File::create(&path))
        .and_then(|file| file.lock().map(|()| file));
    locked.with_context(|| format!("{} could not be locked", path.display()))
}

/// Builds, links, proves and stamps the modules that a kernel packs, in a return
/// convention.
///
/// # Errors
/// When a crate does not build or link, the kernel has no build id, or a
/// replacement function can't be proved: then every instruction that breaks a
/// rule is named. Of [`Convention::AsPosted`], which can't be kept, it is an error if
/// one does not fail as it must.
pub fn build_all(kernel: &Path, convention: Convention) -> Result<Vec<Module>> {
    let linked = link_all(image::of(kernel), convention, None)?;
    if linked.is_empty() {
        return Ok(Vec::new());
    }
    let id = build_id(&tool::read_file(kernel)?)
        .with_context(|| format!("{} has no build id", kernel.display()))?;
    let mut modules = Vec::new();
    let mut failures = String::new();
    let outcomes = parallel::map(&linked, |module| proof::prove(&module.bytes));
    for (linked, outcome) in linked.into_iter().zip(outcomes) {
        let Module {
            name, path, bytes, ..
        } = linked;
        let what = || format!("the module {name} ({})", convention.name());
        let outcome = outcome.with_context(what)?;
        match outcome {
            _ if proof::is_failed_control(&name, &outcome) => {}
            proof::Outcome::Violated(_) if proof::EXERCISES.contains(&name.as_str()) => continue,
            proof::Outcome::Violated(found) => {
                for violation in &found {
                    let _ = write!(failures, "\n  {name} ({}): {violation}", convention.name());
                }
                failures += &advice(&found);
                continue;
            }
            proof::Outcome::Proved(_) if proof::CONTROLS.contains(&name.as_str()) => {
                let _ = write!(
                    failures,
                    "\n  {name}: keeps the rules that it is here to break"
                );
                continue;
            }
            _ => {}
        }
        let bytes = stamp(bytes, &id).with_context(what)?;
        replace_if_changed(&path, &bytes)?;
        modules.push(Module {
            name,
            convention,
            path,
            bytes,
        });
    }
    ensure!(
        failures.is_empty(),
        "functions of the patches break a rule:{failures}"
    );
    Ok(modules)
}

/// What is to be said of functions that the macro can't have made, which restores r2 on the
/// way to every return.
fn advice(found: &[Violation]) -> String {
    let bare = (found.iter()).filter(|violation| violation.rule == Rule::NotRestored);
    let mut functions: Vec<&str> = bare.map(|violation| &*violation.function).collect();
    functions.dedup();
    functions.iter().fold(String::new(), |text, function| {
        // Only a path of Rust's has a crate in front.
        let maker = if function.contains("::") {
            "in `klp::replacement! { }`"
        } else {
            "a `KLP_REPLACEMENT` of klp.h"
        };
        text + &format!("\n  is `{function}` {maker}? That makes a function that keeps the rules")
    })
}

/// Leaves the file alone if nothing changed, so that its next reader sees no new one.
fn replace_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).ok().as_deref() != Some(bytes) {
        tool::replace_file(path, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_does_not_restore_r2_was_not_made_by_the_macro() {
        let violation = |function: &str, rule| Violation {
            function: function.into(),
            section: ".text".into(),
            address: 8,
            offset: 8,
            instruction: "blr".into(),
            rule,
        };
        let bare = [Rule::NoFrame, Rule::LrNotSaved, Rule::NotRestored];
        let said = advice(&bare.map(|rule| violation("mine::leaf", rule)));
        assert!(
            said.starts_with("\n  is `mine::leaf` in `klp::replacement! { }`?"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 2);
        let said = advice(&bare.map(|rule| violation("leaf", rule)));
        assert!(
            said.starts_with("\n  is `leaf` a `KLP_REPLACEMENT` of klp.h?"),
            "{said}"
        );
        let large = Rule::FrameTooLarge { bytes: 8064 };
        assert_eq!(advice(&[violation("mine::leaf", large)]), "");
    }
}
