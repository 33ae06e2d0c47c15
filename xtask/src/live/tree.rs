//! A copy of the sources with a patch file applied, so that the tree itself is left alone.

use crate::image::{self, Image};
use crate::kernel::{self, Built};
use crate::tool;
use anyhow::{Context, Result, ensure};
use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// A copy of the sources, and what is built from it beside the tree's own build. For one user at a
/// time: another one waits.
#[derive(Debug)]
pub struct Copy {
    home: PathBuf,
    _lock: File,
}

impl Copy {
    /// Waits until it is free, and makes it as the tree is.
    ///
    /// # Errors
    /// When something can't be read or written.
    pub fn fresh() -> Result<Copy> {
        let home = tool::target_dir().join("klplab").join("live");
        let failed = || format!("{} could not be made", home.display());
        fs::create_dir_all(home.join("tree")).with_context(failed)?;
        let lock = File::create(home.join("lock")).and_then(|file| file.lock().map(|()| file));
        let copy = Copy {
            _lock: lock.with_context(failed)?,
            home,
        };
        seed(&copy.target())?;
        sources(tool::workspace(), &copy.sources())?;
        Ok(copy)
    }

    /// Where the sources are.
    #[must_use]
    pub fn sources(&self) -> PathBuf {
        self.home.join("tree")
    }

    fn target(&self) -> PathBuf {
        self.home.join("out")
    }

    /// Applies a patch file, on top of those before.
    ///
    /// # Errors
    /// When it does not apply; the message says where.
    pub fn apply(&self, diff: &Path) -> Result<()> {
        let diff = diff
            .canonicalize()
            .with_context(|| diff.display().to_string())?;
        git_apply(&diff, &self.sources(), &[])
    }

    /// Builds an image of it.
    ///
    /// # Errors
    /// When it does not build.
    pub fn link(&self, image: Image) -> Result<Built> {
        kernel::link(image, &self.sources(), &self.target())
    }
}

/// Begins a copy's target folder with what was built of the tree itself: cargo takes it over, for
/// it tells what it has built by names and dates, wherever that lies.
///
/// # Errors
/// When something can't be copied.
fn seed(target: &Path) -> Result<()> {
    if target.is_dir() {
        return Ok(());
    }
    let failed = || format!("{} could not be made", target.display());
    let begun = target.with_extension("begun");
    let _ = fs::remove_dir_all(&begun);
    fs::create_dir_all(&begun).with_context(failed)?;
    // For the bare machine, and build scripts and macros for the host.
    for part in [kernel::TARGET, "release"] {
        let built = tool::target_dir().join(part);
        if built.is_dir() {
            take_over(&built, &begun.join(part)).with_context(failed)?;
        }
    }
    fs::rename(&begun, target).with_context(failed)
}

/// What cargo and rustc replace and never write into, by the ends of their files' names: two
/// folders can share it.
const SHARED: [&str; 3] = ["rlib", "rmeta", "so"];

/// What a copy has no use for among what crates were made into: the archives of patches, and
/// executables, which are linked again.
const LEFT_OUT: [&str; 2] = ["a", ""];

/// Makes one folder of built files like another.
fn take_over(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let place = to.join(&name);
        let end = path
            .extension()
            .and_then(|end| end.to_str())
            .unwrap_or_default();
        let is_left_out = from.ends_with("deps") && LEFT_OUT.contains(&end);
        if is_left_out || name == "incremental" {
            continue;
        }
        if path.is_dir() {
            take_over(&path, &place)?;
        } else if !SHARED.contains(&end) || fs::hard_link(&path, &place).is_err() {
            // Another cargo may have removed it meanwhile.
            let Ok(date) = path.metadata().and_then(|data| data.modified()) else {
                continue;
            };
            fs::copy(&path, &place)?;
            File::options()
                .append(true)
                .open(&place)?
                .set_modified(date)?;
        }
    }
    Ok(())
}

/// Fails if a patch file does not apply in a folder.
///
/// # Errors
/// Then; the message says where.
pub fn applies(diff: &Path, tree: &Path) -> Result<()> {
    git_apply(diff, tree, &["--check"])
}

fn git_apply(diff: &Path, tree: &Path, options: &[&str]) -> Result<()> {
    let mut patch = Command::new("git");
    patch
        .args(["apply", "--recount", "--whitespace=nowarn"])
        .args(options)
        .arg(diff)
        .current_dir(tree);
    // The copy is a folder like any other, though a repository is above it.
    patch.env("GIT_CEILING_DIRECTORIES", tree.parent().unwrap_or(tree));
    let output = tool::output(&mut patch)?;
    ensure!(
        output.status.success(),
        "{} does not apply to the tree:\n{}",
        diff.display(),
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

/// Cargo's settings. It takes those of all folders above together, so a copy below the tree has
/// the tree's already.
const SETTINGS: &str = ".cargo/config.toml";

/// Makes `to` have the sources that `from` has. A file that is the same is not touched, so that
/// nothing is built again for it.
///
/// # Errors
/// When a file can't be read or written.
fn sources(from: &Path, to: &Path) -> Result<()> {
    let mut wanted = HashSet::new();
    for source in image::sources(Image::Test) {
        copy_into(from, to, Path::new(source), &mut wanted)?;
    }
    // A member of the workspace, though nothing of it is in a kernel.
    copy_into(from, to, Path::new("tests"), &mut wanted)?;
    remove_others(to, Path::new(""), &wanted)
}

fn copy_into(from: &Path, to: &Path, name: &Path, wanted: &mut HashSet<PathBuf>) -> Result<()> {
    let (source, place) = (from.join(name), to.join(name));
    if name == Path::new(SETTINGS) && to.starts_with(from) {
        return Ok(());
    }
    let failed = || format!("{} could not be copied", source.display());
    wanted.insert(name.to_owned());
    if source.is_dir() {
        fs::create_dir_all(&place).with_context(failed)?;
        for entry in fs::read_dir(&source).with_context(failed)? {
            let entry = entry.with_context(failed)?.file_name();
            copy_into(from, to, &name.join(entry), wanted)?;
        }
        return Ok(());
    }
    let bytes = fs::read(&source).with_context(failed)?;
    let before = fs::read(&place).ok();
    if before.as_ref() != Some(&bytes) {
        fs::write(&place, &bytes).with_context(failed)?;
        // Later than whatever was built from what was there; if nothing was, as old as it is, for
        // what was built from it may have come along.
        let date = match before {
            Some(_) => Ok(SystemTime::now()),
            None => source.metadata().and_then(|data| data.modified()),
        };
        let file = File::options().append(true).open(&place);
        file.and_then(|file| file.set_modified(date?))
            .with_context(failed)?;
    }
    Ok(())
}

/// Removes what a former copy or patch has left.
fn remove_others(to: &Path, name: &Path, wanted: &HashSet<PathBuf>) -> Result<()> {
    let folder = to.join(name);
    let failed = || format!("{} could not be read", folder.display());
    for entry in fs::read_dir(&folder).with_context(failed)? {
        let entry = entry.with_context(failed)?.file_name();
        let name = name.join(&entry);
        if name == Path::new("target") {
            continue;
        }
        let path = to.join(&name);
        match (wanted.contains(&name), path.is_dir()) {
            (true, true) => remove_others(to, &name, wanted)?,
            (true, false) => {}
            (false, true) => {
                fs::remove_dir_all(&path).with_context(|| path.display().to_string())?
            }
            (false, false) => fs::remove_file(&path).with_context(|| path.display().to_string())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree with all that a copy takes, a file in each folder.
    fn tree(name: &str) -> PathBuf {
        let folder = tool::target_dir().join("tests").join("live").join(name);
        let _ = fs::remove_dir_all(&folder);
        for source in image::sources(Image::Test).chain(["tests"]) {
            let place = folder.join(source);
            match source.contains('.') && source != ".cargo" {
                true => fs::write(&place, source).unwrap(),
                false => {
                    fs::create_dir_all(place.join("src")).unwrap();
                    fs::write(place.join("src/lib.rs"), "one\ntwo\nthree\n").unwrap();
                }
            }
        }
        fs::write(folder.join(SETTINGS), "settings").unwrap();
        folder
    }

    fn date(path: &Path) -> std::time::SystemTime {
        path.metadata().unwrap().modified().unwrap()
    }

    #[test]
    fn a_copy_is_brought_up_to_date_and_no_more_is_touched() {
        let (from, to) = (tree("from"), tree("from").with_file_name("to"));
        let _ = fs::remove_dir_all(&to);
        sources(&from, &to).unwrap();
        assert_eq!(fs::read(to.join(SETTINGS)).unwrap(), b"settings");
        let (same, other) = (to.join("boot/src/lib.rs"), to.join("lab/src/lib.rs"));
        let old = std::time::SystemTime::UNIX_EPOCH;
        for file in [&same, &other] {
            let file = File::options().append(true).open(file).unwrap();
            file.set_modified(old).unwrap();
        }
        fs::create_dir_all(to.join("target")).unwrap();
        fs::write(to.join("lab/src/left.rs"), "").unwrap();
        fs::write(from.join("lab/src/lib.rs"), "new\n").unwrap();
        sources(&from, &to).unwrap();
        assert_eq!(date(&same), old, "it is the same");
        assert!(date(&other) > old && fs::read(&other).unwrap() == b"new\n");
        assert!(!to.join("lab/src/left.rs").exists() && to.join("target").exists());
    }

    #[test]
    fn below_the_tree_its_settings_count_already() {
        let from = tree("around");
        let to = from.join("target/tree");
        sources(&from, &to).unwrap();
        assert!(!to.join(SETTINGS).exists() && to.join(".cargo/src/lib.rs").exists());
    }

    #[test]
    fn patches_apply_or_say_why_not() {
        let tree = tree("patched");
        let (diff, file) = (tree.with_extension("patch"), tree.join("boot/src/lib.rs"));
        let text = |line| {
            format!(
                "--- a/boot/src/lib.rs\n+++ b/boot/src/lib.rs\n@@ -1,3 +1,3 @@\n one\n-{line}\n+2\n three\n"
            )
        };
        fs::write(&diff, text("two")).unwrap();
        git_apply(&diff, &tree, &[]).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"one\n2\nthree\n");
        fs::write(&diff, text("zwei")).unwrap();
        let why = applies(&diff, &tree).unwrap_err().to_string();
        assert!(
            why.contains("does not apply") && why.contains("boot/src/lib.rs"),
            "{why}"
        );
        assert_eq!(fs::read(&file).unwrap(), b"one\n2\nthree\n");
    }
}
