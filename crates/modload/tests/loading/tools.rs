//! The cross compiler and its linker.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A directory for one test's files, empty at first.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn read_text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// Runs a tool for powerpc64le in the directory.
    pub fn run<S: AsRef<OsStr>>(&self, tool: &str, args: &[S]) {
        let prefix = env::var("CROSS_COMPILE").unwrap_or_else(|_| "powerpc64le-linux-gnu-".into());
        let program = format!("{prefix}{tool}");
        let output = Command::new(&program)
            .args(args)
            .current_dir(&self.0)
            .output()
            .unwrap_or_else(|error| {
                panic!(
                    "these tests need `{program}`, and it can't be started ({error}): run `make \
                     setup`, or set CROSS_COMPILE to the prefix of the tools for powerpc64le"
                )
            });
        assert!(
            output.status.success(),
            "{program}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
