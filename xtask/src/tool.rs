//! Other programs: how they are named, started and complained about.
//!
//! Nothing else in this package calls `spawn` or `status` on its own. A missing
//! program has to show as a sentence that says what to do.

use anyhow::{Context, Result, anyhow, bail};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};

/// The top folder of the checkout.
#[must_use]
pub fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The folder that cargo builds into.
#[must_use]
pub fn target_dir() -> PathBuf {
    // A relative value is relative to where cargo runs, which is the workspace.
    workspace().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// A tool of the cross binutils or compiler, such as `ld`, by its full name.
///
/// `CROSS_COMPILE` is the prefix, as in Linux: an empty one means the host's
/// own tools.
#[must_use]
pub fn cross(tool: &str) -> String {
    let prefix = std::env::var("CROSS_COMPILE");
    format!(
        "{}{tool}",
        prefix.as_deref().unwrap_or("powerpc64le-linux-gnu-")
    )
}

/// Whether cargo, or a test that cargo started, sets this variable for its
/// child and the next cargo would take it for the user's wish, or rebuild
/// because of it.
///
/// Settings that belong to the user stay: `CARGO_HOME`, `CARGO_TARGET_DIR`,
/// `CARGO_NET_*`, `RUSTUP_TOOLCHAIN` and their like.
#[must_use]
pub fn is_cargo_leak(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_LINKS",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_TMPDIR",
        "OUT_DIR",
        "RUSTC_BOOTSTRAP",
        "RUSTC_LINKER",
        "RUSTC_WORKSPACE_WRAPPER",
    ];
    const PREFIXES: [&str; 4] = [
        "CARGO_BIN_EXE_",
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_PKG_",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The cargo that runs us, or else the one in `PATH`, to be run in the
/// workspace without what the outer cargo left in the environment.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_cargo_leak) {
            command.env_remove(name);
        }
    }
    command
}

/// Cargo, set up to build for the bare machine.
///
/// # Errors
/// When a cross tool that the build needs is missing.
pub fn cargo_for_kernel() -> Result<Command> {
    // Looked for here, because cargo's own words for it are long and name no
    // remedy.
    require(&cross("gcc"))?;
    require(&cross("ld"))?;
    let mut command = cargo();
    command.env("RUSTC_BOOTSTRAP", "1");
    // Named only if it differs from the target file's: another linker setting
    // makes cargo build the kernel again.
    if std::env::var_os("CROSS_COMPILE").is_some() {
        command.env("CARGO_TARGET_POWERPC64LE_KLPLAB_LINKER", cross("ld"));
    }
    // It would replace the flags in .cargo/config.toml, which the kernel can't
    // be linked without.
    command.env_remove("RUSTFLAGS");
    // Compiled in other units, the kernel would come out otherwise (see Cargo.toml).
    command.env_remove("CARGO_INCREMENTAL");
    Ok(command)
}

/// Starts a program.
///
/// # Errors
/// When it can't be started, with a sentence.
pub fn spawn(command: &mut Command) -> Result<Child> {
    command
        .spawn()
        .map_err(|error| explain(command.get_program(), error))
}

/// Runs a program to its end.
///
/// # Errors
/// When it can't be started, with a sentence.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    command
        .status()
        .map_err(|error| explain(command.get_program(), error))
}

/// Runs a program to its end and collects its standard output.
///
/// # Errors
/// When it can't be started, with a sentence.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .output()
        .map_err(|error| explain(command.get_program(), error))
}

/// Checks that a program is there, without running it.
///
/// # Errors
/// When it is in none of the folders of `PATH`, with a sentence.
pub fn require(program: &str) -> Result<()> {
    if find(program).is_none() {
        bail!("`{program}` not found: run `make doctor`");
    }
    Ok(())
}

/// Where a program is: in the first folder of `PATH` that has it, or, with a `/` in its
/// name, there.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

fn explain(program: &OsStr, error: std::io::Error) -> anyhow::Error {
    let program = program.to_string_lossy();
    match error.kind() {
        ErrorKind::NotFound => anyhow!("`{program}` not found: run `make doctor`"),
        ErrorKind::PermissionDenied => anyhow!("`{program}` may not be executed"),
        _ => anyhow!(error).context(format!("`{program}` could not be started")),
    }
}

/// All files in a folder and below it.
///
/// # Errors
/// When one of the folders can't be read.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("{} can't be read", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(what)? {
        let path = entry.with_context(what)?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// Reads a file.
///
/// # Errors
/// When it can't be read; the message names it.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} could not be read", path.display()))
}

/// Puts a file in place as a whole: a reader sees the old content or the new.
///
/// # Errors
/// When it can't be written; the message names it.
pub fn replace_file(path: &Path, content: &[u8]) -> Result<()> {
    let mut name = OsString::from(path);
    name.push(format!(".{}", std::process::id()));
    let fresh = PathBuf::from(name);
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&fresh, content))
        .and_then(|()| std::fs::rename(&fresh, path))
        .with_context(|| format!("{} could not be written", path.display()))
}

/// Quotes a command so that it can be pasted into a shell, on one line.
#[must_use]
pub fn shell_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| quote(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_sets_is_dropped_and_what_the_user_set_stays() {
        for name in [
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_NAME",
            "RUSTC_BOOTSTRAP",
            "OUT_DIR",
        ] {
            assert!(is_cargo_leak(name), "{name}");
        }
        for name in [
            "CARGO",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_NET_OFFLINE",
            "PATH",
        ] {
            assert!(!is_cargo_leak(name), "{name}");
        }
        assert!(!is_cargo_leak("RUSTUP_TOOLCHAIN"));
    }

    #[test]
    fn a_missing_program_is_a_sentence() {
        let error = status(&mut Command::new("klplab-no-such-tool")).unwrap_err();
        let expected = "`klplab-no-such-tool` not found: run `make doctor`";
        assert_eq!(error.to_string(), expected);
        assert_eq!(
            require("klplab-no-such-tool").unwrap_err().to_string(),
            expected
        );
        require("sh").unwrap();
    }

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("qemu");
        command.args(["-append", "log=info color=always", "", "it's", "-m", "512M"]);
        let line = shell_line(&command);
        assert_eq!(
            line,
            r"qemu -append 'log=info color=always' '' 'it'\''s' -m 512M"
        );
    }
}
