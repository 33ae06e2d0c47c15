//! What is kept of each build, to compare later builds with: the kernel's file, the archives of
//! objects that it was linked from, and the sources. A kernel that runs says its build id, and by
//! that its objects are found.
//!
//! The archives are hard links: cargo replaces them and never writes into one. So what two builds
//! share is on the disk once, and a file that is the same one needs no comparison.

use super::linked::SCRIPT;
use crate::{image, modules, proof, tool};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many builds are kept. Each takes what its changed crates take, some 30 MB.
const KEPT: usize = 8;

/// The kernel's file in a build's folder. It is written last: with it, the rest is there.
const KERNEL: &str = "kernel.elf";
/// The functions that never return, a line each.
const NEVER: &str = "never-return";
/// The sources, and what else the kernel's file is made from, as an archive.
const SOURCES: &str = "made-from.tar";

/// A build that was kept.
#[derive(Clone, Debug)]
pub struct Base {
    folder: PathBuf,
}

/// Where the builds are kept.
fn folder() -> PathBuf {
    tool::target_dir().join("klplab").join("base")
}

/// The folder of a build, by its id in hexadecimal.
fn folder_of(id: &str) -> PathBuf {
    folder().join(id)
}

/// Whether all of a build is in its folder. Another version of this program may have kept less.
fn is_whole(folder: &Path) -> bool {
    [SOURCES, KERNEL]
        .iter()
        .all(|file| folder.join(file).is_file())
}

/// A build id as folders are called, and as a kernel says it.
#[must_use]
pub fn in_hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keeps what a kernel was built from. `tree` is where its sources are.
///
/// # Errors
/// When a file can't be linked or written.
pub fn keep(kernel: &Path, archives: &[PathBuf], tree: &Path) -> Result<()> {
    let bytes = tool::read_file(kernel)?;
    let id = in_hex(&modules::build_id(&bytes)?);
    let folder = folder_of(&id);
    let kept = folder.join(KERNEL);
    if is_whole(&folder) {
        // It was used now: others go first.
        let used = File::options().append(true).open(&kept);
        let _ = used.and_then(|file| file.set_modified(SystemTime::now()));
        return Ok(());
    }
    let failed = || format!("{} could not be written", folder.display());
    fs::create_dir_all(&folder).with_context(failed)?;
    for archive in archives {
        let name = archive.file_name().context("an archive has no name")?;
        let place = folder.join(name);
        let _ = fs::remove_file(&place);
        if fs::hard_link(archive, &place).is_err() {
            // Another file system, perhaps.
            fs::copy(archive, &place).with_context(failed)?;
        }
    }
    let mut sources = tar::Builder::new(Vec::new());
    for (name, text) in sources_in(tree)? {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        sources
            .append_data(&mut header, &name, text.as_bytes())
            .with_context(failed)?;
    }
    tool::replace_file(
        &folder.join(SOURCES),
        &sources.into_inner().with_context(failed)?,
    )?;
    tool::replace_file(&kept, &bytes)?;
    prune()
}

/// Removes the builds that were used longest ago, but none of an image that is there to boot.
fn prune() -> Result<()> {
    let needed: Vec<String> = image::ALL
        .into_iter()
        .filter_map(|image| fs::read(image::path(image)).ok())
        .filter_map(|kernel| Some(in_hex(&modules::build_id(&kernel).ok()?)))
        .collect();
    let entries = fs::read_dir(folder()).with_context(|| folder().display().to_string())?;
    let mut builds: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let used = path
                .join(KERNEL)
                .metadata()
                .and_then(|data| data.modified());
            Some((used.unwrap_or(SystemTime::UNIX_EPOCH), path))
        })
        .collect();
    builds.sort();
    let surplus = builds.len().saturating_sub(KEPT);
    for (_, path) in builds.into_iter().take(surplus) {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if !needed.iter().any(|one| one == name) {
            fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// The sources of a kernel below a folder, by path, with the linker's script.
///
/// # Errors
/// When one can't be read.
pub fn sources_in(tree: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> = ["boot", "kernel", "lab", "selftest", "crates"]
        .into_iter()
        .map(|name| tree.join(name))
        .filter(|folder| folder.is_dir())
        .collect();
    while let Some(folder) = folders.pop() {
        let failed = || format!("{} could not be read", folder.display());
        for entry in fs::read_dir(&folder).with_context(failed)? {
            let path = entry.with_context(failed)?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let is_source = path
                .extension()
                .is_some_and(|one| one == "rs" || one == "c" || one == "S");
            if !is_source {
                continue;
            }
            let name = path.strip_prefix(tree).unwrap_or(&path);
            let text = String::from_utf8_lossy(&tool::read_file(&path)?).into_owned();
            found.insert(name.to_string_lossy().into_owned(), text);
        }
    }
    let script = String::from_utf8_lossy(&tool::read_file(&tree.join(SCRIPT))?).into_owned();
    found.insert(SCRIPT.to_owned(), script);
    Ok(found)
}

/// All builds that are kept.
///
/// # Errors
/// When the folder can't be read.
pub fn all() -> Result<Vec<Base>> {
    let failed = || format!("{} could not be read", folder().display());
    let entries = fs::read_dir(folder()).with_context(failed)?;
    let mut bases = Vec::new();
    for entry in entries {
        let folder = entry.with_context(failed)?.path();
        bases.push(Base { folder });
    }
    bases.retain(|base| is_whole(&base.folder));
    Ok(bases)
}

impl Base {
    /// The build of this id.
    ///
    /// # Errors
    /// When none is kept.
    pub fn find(id: &str) -> Result<Base> {
        let folder = folder_of(id);
        if !is_whole(&folder) {
            bail!(
                "the kernel of build {id} was not built here, or so long ago that its objects are gone: \
                 start one that was built from this tree"
            );
        }
        Ok(Base { folder })
    }

    /// Where the kernel's file is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join(KERNEL)
    }

    /// The kernel's file.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn kernel(&self) -> Result<Vec<u8>> {
        tool::read_file(&self.path())
    }

    /// The functions of the kernel that never return. They are looked for once.
    ///
    /// # Errors
    /// When the kernel can't be read.
    pub fn never_return(&self, kernel: &[u8]) -> Result<BTreeSet<String>> {
        let kept = self.folder.join(NEVER);
        if let Ok(names) = fs::read_to_string(&kept) {
            return Ok(names.lines().map(str::to_owned).collect());
        }
        let names = proof::never_return(kernel)?;
        let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
        tool::replace_file(&kept, lines.as_bytes())?;
        Ok(names)
    }

    /// The archives, by name.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn archives(&self) -> Result<BTreeMap<String, PathBuf>> {
        let failed = || format!("{} could not be read", self.folder.display());
        let entries = fs::read_dir(&self.folder).with_context(failed)?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        Ok(paths
            .filter(|path| path.extension().is_some_and(|one| one == "rlib"))
            .map(|path| (archive_name(&path), path))
            .collect())
    }

    /// The sources, by path.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn sources(&self) -> Result<BTreeMap<String, String>> {
        let bytes = tool::read_file(&self.folder.join(SOURCES))?;
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut found = BTreeMap::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = entry.path()?.to_string_lossy().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            found.insert(name, text);
        }
        Ok(found)
    }
}

/// What an archive is called in each build: crate, and what decides on the names of symbols.
#[must_use]
pub fn archive_name(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Whether two paths are one file.
#[must_use]
pub fn is_one_file(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| path.metadata().map(|data| (data.dev(), data.ino())).ok();
    id(one).is_some_and(|found| Some(found) == id(other))
}
