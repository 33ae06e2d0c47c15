//! A copy of the sources with a patch file applied, so that the tree itself is left alone.

use crate::image::{self, Image};
use crate::kernel::{self, Built};
use crate::tool;
use anyhow::{Context, Result, ensure};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The copy for patch files.
pub const FOR_DIFF: &str = "live";

/// A copy of the sources, and what is built from it beside the tree's own build. For one user at a
/// time: another one waits.
#[derive(Debug)]
pub struct Copy {
    home: PathBuf,
    /// What was in it before it was made as the tree is.
    before: RefCell<Vec<Before>>,
    _lock: File,
}

/// A file that was another one, or was there alone.
#[derive(Debug)]
struct Before {
    path: PathBuf,
    bytes: Vec<u8>,
    date: SystemTime,
}

impl Before {
    fn of(path: &Path, bytes: Vec<u8>) -> std::io::Result<Before> {
        Ok(Before {
            date: path.metadata()?.modified()?,
            path: path.to_owned(),
            bytes,
        })
    }

    /// Gives the file its date back if it is what it was.
    fn restore(&self) -> std::io::Result<()> {
        if fs::read(&self.path).is_ok_and(|bytes| bytes == self.bytes) {
            set_date(&self.path, self.date)?;
        }
        Ok(())
    }
}

impl Copy {
    /// Waits until the copy of a name is free, and makes it as the tree is.
    ///
    /// # Errors
    /// When something can't be read or written.
    pub fn fresh(name: &str) -> Result<Copy> {
        let home = tool::target_dir().join("klplab").join(name);
        let failed = || format!("{} could not be made", home.display());
        fs::create_dir_all(home.join("tree")).with_context(failed)?;
        let lock = File::create(home.join("lock")).and_then(|file| file.lock().map(|()| file));
        let copy = Copy {
            before: RefCell::default(),
            _lock: lock.with_context(failed)?,
            home,
        };
        seed(&copy.target())?;
        let before = sources(tool::workspace(), &copy.sources())?;
        copy.before.replace(before);
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

    /// Builds an image of it. The edits may be those of the last time: then there is nothing to
    /// build, and cargo sees that by the files' dates.
    ///
    /// # Errors
    /// When it does not build.
    pub fn link(&self, image: Image) -> Result<Built> {
        for file in self.before.take() {
            file.restore()
                .with_context(|| file.path.display().to_string())?;
        }
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

/// Makes one folder of built files like another. Another cargo may remove some of them meanwhile:
/// these are left out.
fn take_over(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    let is_gone = |error: &std::io::Error| error.kind() == ErrorKind::NotFound;
    let entries = match fs::read_dir(from) {
        Err(error) if is_gone(&error) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
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
            continue;
        }
        if SHARED.contains(&end) && fs::hard_link(&path, &place).is_ok() {
            continue;
        }
        match copy_with_date(&path, &place) {
            Err(error) if is_gone(&error) => {}
            result => result?,
        }
    }
    Ok(())
}

fn copy_with_date(from: &Path, to: &Path) -> std::io::Result<()> {
    let date = from.metadata()?.modified()?;
    fs::copy(from, to)?;
    set_date(to, date)
}

fn set_date(path: &Path, date: SystemTime) -> std::io::Result<()> {
    File::options().append(true).open(path)?.set_modified(date)
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
/// nothing is built again for it. Returns what was there of the others.
///
/// # Errors
/// When a file can't be read or written.
fn sources(from: &Path, to: &Path) -> Result<Vec<Before>> {
    let mut update = Update {
        from,
        to,
        wanted: HashSet::new(),
        before: Vec::new(),
    };
    for source in image::sources(Image::Test) {
        update.copy(Path::new(source))?;
    }
    // A member of the workspace, though nothing of it is in a kernel.
    update.copy(Path::new("tests"))?;
    update.remove_others(Path::new(""))?;
    Ok(update.before)
}

/// A copy that is brought up to date.
struct Update<'a> {
    from: &'a Path,
    to: &'a Path,
    /// What there is in the tree, by its path below it.
    wanted: HashSet<PathBuf>,
    before: Vec<Before>,
}

impl Update<'_> {
    fn copy(&mut self, name: &Path) -> Result<()> {
        let (from, to) = (self.from, self.to);
        let (source, place) = (from.join(name), to.join(name));
        if name == Path::new(SETTINGS) && to.starts_with(from) {
            return Ok(());
        }
        let failed = || format!("{} could not be copied", source.display());
        self.wanted.insert(name.to_owned());
        if source.is_dir() {
            fs::create_dir_all(&place).with_context(failed)?;
            for entry in fs::read_dir(&source).with_context(failed)? {
                let entry = entry.with_context(failed)?.file_name();
                self.copy(&name.join(entry))?;
            }
            return Ok(());
        }
        let bytes = fs::read(&source).with_context(failed)?;
        let before = fs::read(&place).ok();
        if before.as_ref() != Some(&bytes) {
            // Later than whatever was built from what was there; if nothing was, as old as it is, for
            // what was built from it may have come along.
            let date = match before {
                Some(before) => {
                    let before = Before::of(&place, before).with_context(failed)?;
                    self.before.push(before);
                    Ok(SystemTime::now())
                }
                None => source.metadata().and_then(|data| data.modified()),
            };
            fs::write(&place, &bytes).with_context(failed)?;
            date.and_then(|date| set_date(&place, date))
                .with_context(failed)?;
        }
        Ok(())
    }

    /// Removes what a former copy or patch has left.
    fn remove_others(&mut self, name: &Path) -> Result<()> {
        let folder = self.to.join(name);
        let failed = || format!("{} could not be read", folder.display());
        for entry in fs::read_dir(&folder).with_context(failed)? {
            let entry = entry.with_context(failed)?.file_name();
            let name = name.join(&entry);
            if name == Path::new("target") {
                continue;
            }
            let path = self.to.join(&name);
            let failed = || path.display().to_string();
            match (self.wanted.contains(&name), path.is_dir()) {
                (true, false) => {}
                (true, true) => self.remove_others(&name)?,
                (false, true) => {
                    self.remove_others(&name)?;
                    fs::remove_dir(&path).with_context(failed)?;
                }
                (false, false) => {
                    let bytes = fs::read(&path).with_context(failed)?;
                    self.before
                        .push(Before::of(&path, bytes).with_context(failed)?);
                    fs::remove_file(&path).with_context(failed)?;
                }
            }
        }
        Ok(())
    }
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
            set_date(file, old).unwrap();
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
    fn what_is_edited_as_before_keeps_its_date() {
        let (from, to) = (tree("edited"), tree("edited").with_file_name("edit"));
        let _ = fs::remove_dir_all(&to);
        sources(&from, &to).unwrap();
        let [same, other, new] =
            ["boot/src/lib.rs", "lab/src/lib.rs", "lab/src/new.rs"].map(|name| to.join(name));
        let old = std::time::SystemTime::UNIX_EPOCH;
        let edit = |file: &Path, text: &str| fs::write(file, text).unwrap();
        for file in [&same, &other, &new] {
            edit(file, "edited\n");
            set_date(file, old).unwrap();
        }
        let before = sources(&from, &to).unwrap();
        assert!(!new.exists() && date(&same) > old);
        for (file, text) in [(&same, "edited\n"), (&other, "edit\n"), (&new, "edited\n")] {
            edit(file, text);
        }
        before.iter().for_each(|file| file.restore().unwrap());
        assert_eq!((date(&same), date(&new)), (old, old));
        assert!(date(&other) > old);
        // One that does not come again.
        let before = sources(&from, &to).unwrap();
        before.iter().for_each(|file| file.restore().unwrap());
        assert!(!new.exists() && date(&same) > old);
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
