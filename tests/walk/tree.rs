//! A copy of the tree to walk in.
//!
//! It is always at the same place and is brought up to date, not made anew: a file
//! that is right already keeps its date, and so cargo builds only what has changed.
//!
//! Cargo's intermediate files are shared with the tree itself, so that no crate from
//! elsewhere, and no `core`, is built a second time. Cargo tells two workspaces'
//! crates apart by their versions, but not by where they lie. So the copy's version is
//! another one: that is all in which it differs from the original, but for cargo's
//! settings, which apply below the original's folder anyway, and would apply twice.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::tool;

/// Cargo's settings.
const SETTINGS: &str = ".cargo/config.toml";

/// What in a copy is no copy.
const OWN: [&str; 2] = [".git", "target"];

/// A copy of the tree, for one user at a time.
pub struct Tree {
    path: PathBuf,
    out: PathBuf,
    _lock: Option<File>,
}

impl Tree {
    /// Brings the copy of a name up to date, and waits before that until no other process
    /// uses it. Whatever is in the tree comes along, committed or not, unless git ignores
    /// it.
    ///
    /// # Errors
    /// When something can't be read or written, or git is not there.
    pub fn fresh(name: &str) -> Result<Tree> {
        let home = tool::target_dir().join("tests").join(name);
        let path = home.join("tree");
        fs::create_dir_all(&path)?;
        let lock = File::create(home.join("lock"))?;
        lock.lock()?;
        let tree = Tree {
            path,
            out: home.join("out"),
            _lock: Some(lock),
        };
        tree.update(name).context("the tree could not be copied")?;
        tree.commit()?;
        Ok(tree)
    }

    /// The tree itself, for commands that change nothing but what is built.
    #[must_use]
    pub fn original() -> Tree {
        Tree {
            path: tool::workspace().to_owned(),
            out: tool::target_dir(),
            _lock: None,
        }
    }

    /// An empty folder, for tests of what needs no more.
    #[cfg(test)]
    pub(crate) fn bare(name: &str) -> Result<Tree> {
        let path = tool::target_dir().join("tests").join("bare").join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path)?;
        let tree = Tree {
            out: path.join("target"),
            path: path.canonicalize()?,
            _lock: None,
        };
        tree.git(&["init", "--quiet"])?;
        Ok(tree)
    }

    /// Whether it is a copy, which may be changed.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.path != tool::workspace()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file that was built from it, by its path below cargo's target folder.
    #[must_use]
    pub fn built(&self, file: &str) -> PathBuf {
        self.out.join(file)
    }

    /// Lets a command run in it.
    pub fn prepare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (name, _) in std::env::vars_os() {
            let is_leak = |name: &str| tool::is_cargo_leak(name) || name.starts_with("GIT_");
            if name.to_str().is_some_and(is_leak) {
                command.env_remove(name);
            }
        }
        command
            .current_dir(&self.path)
            .env_remove("MAKEFLAGS")
            .env("CARGO_TARGET_DIR", &self.out)
            .env("CARGO_BUILD_BUILD_DIR", tool::target_dir())
            // Whatever the user has told git, it means the same here.
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
    }

    /// What differs from the copy as it was made: lines such as `M a/b` for a file that
    /// was there and `?? c` for one that was not.
    ///
    /// # Errors
    /// When git can't tell.
    pub fn changes(&self) -> Result<BTreeSet<String>> {
        let status = self.git(&["status", "--porcelain", "--untracked-files=all"])?;
        Ok(status.lines().map(|line| line.trim().to_owned()).collect())
    }

    fn git(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("git");
        git(self.prepare(&mut command).args(words))
    }

    fn update(&self, name: &str) -> Result<()> {
        let mut command = Command::new("git");
        command.current_dir(tool::workspace()).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let listed = git(&mut command)?;
        let below = self.path.starts_with(tool::workspace());
        let files: BTreeSet<&str> = (listed.split('\0'))
            .filter(|file| !(file.is_empty() || below && *file == SETTINGS))
            // Git lists what was deleted and not yet committed, too.
            .filter(|file| tool::workspace().join(file).is_file())
            .collect();
        ensure!(!files.is_empty(), "git knows no file here");
        remove_others(&self.path, &files, &self.path)?;
        for file in files {
            let from = tool::workspace().join(file);
            let mut content = tool::read_file(&from)?;
            match file {
                "Cargo.toml" => content = with_version(content, name, renamed_manifest)?,
                "Cargo.lock" => content = with_version(content, name, renamed_lock)?,
                _ => {}
            }
            let to = self.path.join(file);
            let mode = fs::metadata(&from)?.permissions().mode();
            let there = fs::metadata(&to).map(|old| old.permissions().mode());
            if there.is_ok_and(|there| there == mode) && fs::read(&to)? == content {
                continue;
            }
            tool::replace_file(&to, &content)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// Makes what is there now the state that changes are told against.
    fn commit(&self) -> Result<()> {
        if !self.path.join(".git").is_dir() {
            self.git(&["init", "--quiet"])?;
        }
        self.git(&["add", "--all"])?;
        self.git(&[
            "-c",
            "user.name=walk",
            "-c",
            "user.email=walk@localhost",
            "commit",
            "--quiet",
            "--allow-empty",
            "--message=as it was",
        ])?;
        Ok(())
    }
}

/// Runs git.
fn git(command: &mut Command) -> Result<String> {
    command.stderr(std::process::Stdio::piped());
    let output = tool::output(command)?;
    ensure!(
        output.status.success(),
        "git failed: {}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Removes what is not in the list, below a folder of the copy.
fn remove_others(top: &Path, files: &BTreeSet<&str>, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .strip_prefix(top)?
            .to_str()
            .context("a name that is no text")?;
        if OWN.contains(&name) {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            remove_others(top, files, &path)?;
            // Fails if there is something left in it.
            let _ = fs::remove_dir(&path);
        } else if !files.contains(name) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// A file with another version of our crates in it.
fn with_version(
    content: Vec<u8>,
    name: &str,
    renamed: fn(&str, &str) -> Option<String>,
) -> Result<Vec<u8>> {
    let text = String::from_utf8(content)?;
    let text = renamed(&text, name).context("there is no version in the manifest or lock file")?;
    Ok(text.into_bytes())
}

/// The manifest, with `+NAME` behind the version.
fn renamed_manifest(text: &str, name: &str) -> Option<String> {
    let (before, package) = text.split_once("[workspace.package]\nversion = \"")?;
    let (version, behind) = package.split_once('"')?;
    Some(format!(
        "{before}[workspace.package]\nversion = \"{version}+{name}\"{behind}"
    ))
}

/// The lock file to it: our crates are those that come from nowhere else. A
/// dependency on one names its version where its name alone is not enough.
fn renamed_lock(text: &str, name: &str) -> Option<String> {
    let mut ours = Vec::new();
    let mut renamed = Vec::new();
    for package in text.split("\n\n") {
        let is_ours = package.contains("[[package]]\n") && !package.contains("\nsource = ");
        if !is_ours {
            renamed.push(package.to_owned());
            continue;
        }
        let (before, rest) = package.split_once("\nversion = \"")?;
        let (version, behind) = rest.split_once('"')?;
        let (_, crate_name) = before.split_once("name = ")?;
        ours.push(format!("{} {version}", crate_name.trim_matches('"')));
        renamed.push(format!("{before}\nversion = \"{version}+{name}\"{behind}"));
    }
    let mut renamed = renamed.join("\n\n");
    for one in &ours {
        renamed = renamed.replace(&format!("\"{one}\""), &format!("\"{one}+{name}\""));
    }
    (!ours.is_empty()).then_some(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_another_version() {
        let manifest =
            "[workspace]\n\n[workspace.package]\nversion = \"1.2.3\"\nedition = \"2024\"\n";
        let expected = manifest.replace("1.2.3", "1.2.3+walk");
        assert_eq!(renamed_manifest(manifest, "walk"), Some(expected));
        assert_eq!(
            renamed_manifest("[package]\nversion = \"1.2.3\"\n", "walk"),
            None
        );
    }

    #[test]
    fn so_has_its_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"glob\"\nversion = \"0.1.0\"\n\n\
            [[package]]\nname = \"glob\"\nversion = \"0.3.3\"\nsource = \"r\"\n\n\
            [[package]]\nname = \"k\"\nversion = \"0.1.0\"\ndependencies = [\n \"glob 0.1.0\",\n \"x 0.1.0\",\n]\n\n\
            [[package]]\nname = \"x\"\nversion = \"0.1.0\"\nsource = \"r\"\n";
        let expected = "version = 4\n\n[[package]]\nname = \"glob\"\nversion = \"0.1.0+w\"\n\n\
            [[package]]\nname = \"glob\"\nversion = \"0.3.3\"\nsource = \"r\"\n\n\
            [[package]]\nname = \"k\"\nversion = \"0.1.0+w\"\ndependencies = [\n \"glob 0.1.0+w\",\n \"x 0.1.0\",\n]\n\n\
            [[package]]\nname = \"x\"\nversion = \"0.1.0\"\nsource = \"r\"\n";
        assert_eq!(renamed_lock(lock, "w").as_deref(), Some(expected));
        assert_eq!(renamed_lock("version = 4\n", "w"), None);
    }

    #[test]
    fn what_is_not_in_the_list_is_removed_but_for_what_is_the_copys_own() {
        let tree = Tree::bare("others").unwrap();
        for file in ["a", "b/c", "b/d", "e/f", "target/x", "g/target"] {
            tool::replace_file(&tree.path().join(file), b"").unwrap();
        }
        remove_others(tree.path(), &["a", "b/c"].into(), tree.path()).unwrap();
        for file in ["a", "b/c", "target/x"] {
            assert!(tree.path().join(file).is_file(), "{file}");
        }
        for gone in ["b/d", "e", "g"] {
            assert!(!tree.path().join(gone).exists(), "{gone}");
        }
    }
}
