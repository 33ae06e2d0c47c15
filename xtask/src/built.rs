//! What was built from what: whether a build is still what building would make again.
//!
//! Cargo alone takes two seconds to find nothing to do, once for the kernel and once
//! for the modules of each return convention, and linking and proving the modules
//! takes another. So a build leaves a record: of everything that went into it, which was
//! looked at before it began, and of the files that came of it. If a later look finds
//! both the same, nothing has to be asked. Like cargo it goes by dates and sizes; but
//! any other date counts, not only a later one, and so does each file that came or went.

use crate::image::{self, Image};
use crate::modules::{self, Conventions};
use crate::tool;
use anyhow::{Context, Result};
use std::env;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// How the names of variables begin that cargo, rustc, the crate `cc` or
/// [`tool::cross`] obey.
const VARIABLES: [&str; 8] = [
    "AR",
    "CARGO",
    "CC",
    "CFLAGS",
    "CROSS_COMPILE",
    "HOST_",
    "RUST",
    "TARGET_",
];

/// Variables of such names that differ from call to call and mean nothing to a build:
/// rustup counts how deep its calls are nested.
const MEANINGLESS: [&str; 1] = ["RUST_RECURSION_COUNT"];

/// The cross tools that a build runs.
const CROSS_TOOLS: [&str; 4] = ["ar", "gcc", "ld", "objcopy"];

/// What a build starts from, as it was at one time.
#[derive(Debug, Eq, PartialEq)]
pub struct Inputs(String);

impl Inputs {
    /// Looks at everything that the build of an image starts from: sources, settings, tools
    /// and variables.
    ///
    /// # Errors
    /// When a folder of sources can't be read.
    pub fn look(image: Image) -> Result<Inputs> {
        let mut found = String::new();
        for source in image::sources(image) {
            note_all(&mut found, &tool::workspace().join(source))?;
        }
        for file in settings().chain(tools()) {
            note(&mut found, &file)?;
        }
        let mut variables: Vec<_> = env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(is_obeyed))
            .collect();
        variables.sort();
        for (name, value) in variables {
            let _ = writeln!(found, "{}={value:?}", name.to_string_lossy());
        }
        Ok(Inputs(found))
    }
}

/// The record of one build: of a kernel, with modules in certain return conventions.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    /// What a build makes, files and folders of files.
    outputs: Vec<PathBuf>,
}

impl Record {
    /// The record of a kernel's build. What else the build makes, as long as the kernel
    /// is the same: the initrd, and the files of the modules.
    #[must_use]
    pub fn of(kernel: &Path, conventions: &Conventions) -> Record {
        let conventions = conventions.resolved_by(kernel);
        let initrd = conventions.initrd(kernel);
        let path = initrd.with_extension("built");
        let modules = modules::folder(kernel);
        let folders = conventions.iter().map(|one| modules.join(one.name()));
        let outputs = [kernel.to_owned(), initrd].into_iter().chain(folders);
        Record {
            path,
            outputs: outputs.collect(),
        }
    }

    /// Whether a build from these inputs is recorded, and all that it made is still as
    /// it was.
    #[must_use]
    pub fn holds(&self, inputs: &Inputs) -> bool {
        let recorded = std::fs::read_to_string(&self.path);
        let now = self.text(inputs);
        matches!((recorded, now), (Ok(recorded), Ok(now)) if recorded == now)
    }

    /// Records a build that is done.
    ///
    /// # Errors
    /// When what it made can't be looked at, or the record can't be written.
    pub fn write(&self, inputs: &Inputs) -> Result<()> {
        tool::replace_file(&self.path, self.text(inputs)?.as_bytes())
    }

    fn text(&self, inputs: &Inputs) -> Result<String> {
        let mut text = inputs.0.clone();
        for output in &self.outputs {
            note_all(&mut text, output)?;
        }
        Ok(text)
    }
}

/// Whether a build may depend on a variable.
fn is_obeyed(name: &str) -> bool {
    VARIABLES.iter().any(|start| name.starts_with(*start))
        && !MEANINGLESS.contains(&name)
        && !tool::is_cargo_leak(name)
}

/// Where cargo looks for settings outside the workspace.
fn settings() -> impl Iterator<Item = PathBuf> {
    let above = tool::workspace().ancestors().skip(1);
    let above = above.map(|folder| folder.join(".cargo"));
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let files = |folder: PathBuf| ["config", "config.toml"].map(|name| folder.join(name));
    above.chain(home).flat_map(files)
}

/// The compiler with its library's source, cargo itself, and the cross tools: those that
/// are found.
fn tools() -> impl Iterator<Item = PathBuf> {
    let cargo = env::var_os("CARGO").map_or_else(|| tool::find("cargo"), |path| Some(path.into()));
    let toolchain = cargo.into_iter().flat_map(|cargo| {
        let library = "../lib/rustlib/src/rust/library/Cargo.lock";
        ["rustc", library]
            .map(|name| cargo.with_file_name(name))
            .into_iter()
            .chain([cargo])
    });
    let cross = CROSS_TOOLS
        .into_iter()
        .filter_map(|name| tool::find(&tool::cross(name)));
    toolchain.chain(cross)
}

/// Writes down a file, or each file in a folder and below it, in the order of their
/// names.
fn note_all(found: &mut String, path: &Path) -> Result<()> {
    if !path.is_dir() {
        return note(found, path);
    }
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.with_context(|| format!("{} could not be read", path.display()))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    entries
        .iter()
        .try_for_each(|entry| note_all(found, &entry.path()))
}

/// Writes down a file's name, size and date, or that there is none.
fn note(found: &mut String, path: &Path) -> Result<()> {
    let what = || format!("{} could not be looked at", path.display());
    let _ = match std::fs::metadata(path) {
        Ok(data) => {
            let date = data.modified().with_context(what)?;
            let date = date
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos());
            writeln!(found, "{} {} {date}", path.display(), data.len())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            writeln!(found, "{} -", path.display())
        }
        Err(error) => return Err(error).with_context(what),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder for one test, with what a build makes in it.
    fn folder(name: &str) -> PathBuf {
        let folder = tool::target_dir().join("tests").join("built").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("modules/klplab/epilogue")).unwrap();
        for file in [
            "kernel.elf",
            "kernel.initrd.tar",
            "modules/klplab/epilogue/demo.ko",
        ] {
            fs::write(folder.join(file), file).unwrap();
        }
        folder
    }

    fn record_in(folder: &Path) -> Record {
        Record::of(&folder.join("kernel.elf"), &Conventions::usual())
    }

    #[test]
    fn a_build_is_good_as_long_as_nothing_changes() {
        let folder = folder("same");
        let record = record_in(&folder);
        let inputs = Inputs::look(Image::Klplab).unwrap();
        assert!(!record.holds(&inputs), "nothing is recorded");
        record.write(&inputs).unwrap();
        assert!(record_in(&folder).holds(&Inputs::look(Image::Klplab).unwrap()));
        let all = Record::of(&folder.join("kernel.elf"), &Conventions::all());
        assert!(!all.holds(&inputs), "other modules were not built");
    }

    #[test]
    fn other_sources_are_another_build() {
        let record = record_in(&folder("inputs"));
        record.write(&Inputs("a 1 2\n".into())).unwrap();
        assert!(record.holds(&Inputs("a 1 2\n".into())));
        assert!(!record.holds(&Inputs("a 1 3\n".into())));
        assert!(!record.holds(&Inputs("a 1 2\nb 1 2\n".into())));
    }

    #[test]
    fn what_was_made_must_still_be_there_and_the_same() {
        type Change = fn(&Path);
        let inputs = Inputs(String::new());
        let changes: [(&str, Change); 4] = [
            ("modules/klplab/epilogue/demo.ko", |file| {
                fs::remove_file(file).unwrap()
            }),
            ("modules/klplab/epilogue/more.ko", |file| {
                fs::write(file, "").unwrap()
            }),
            ("kernel.elf", |file| fs::write(file, "another").unwrap()),
            // Of the same size, and older: cargo and make would not see it.
            ("kernel.initrd.tar", |file| {
                let file = fs::File::options().write(true).open(file).unwrap();
                file.set_modified(UNIX_EPOCH).unwrap();
            }),
        ];
        for (index, (file, change)) in changes.into_iter().enumerate() {
            let folder = folder(&format!("outputs-{index}"));
            let record = record_in(&folder);
            record.write(&inputs).unwrap();
            assert!(record.holds(&inputs), "{file}");
            change(&folder.join(file));
            assert!(!record.holds(&inputs), "{file} has changed");
        }
    }

    #[test]
    fn files_and_folders_are_looked_at_in_the_order_of_their_names() {
        let folder = folder("order");
        let look = || {
            let mut found = String::new();
            note_all(&mut found, &folder).unwrap();
            found.replace(&format!("{}/", folder.display()), "")
        };
        let found = look();
        let names: Vec<_> = found.lines().map(|line| line.split(' ').next()).collect();
        assert_eq!(
            names,
            [
                "kernel.elf",
                "kernel.initrd.tar",
                "modules/klplab/epilogue/demo.ko"
            ]
            .map(Some)
        );
        assert_eq!(found, look());
        let mut absent = String::new();
        note_all(&mut absent, &folder.join("absent")).unwrap();
        assert!(absent.ends_with("absent -\n"), "{absent}");
    }

    #[test]
    fn variables_that_builds_obey_count_and_others_do_not() {
        for name in [
            "CROSS_COMPILE",
            "CARGO_TARGET_DIR",
            "RUSTC_WRAPPER",
            "CFLAGS",
        ] {
            assert!(is_obeyed(name), "{name}");
        }
        for name in ["PATH", "PWD", "CARGO_PKG_NAME", "RUST_RECURSION_COUNT"] {
            assert!(!is_obeyed(name), "{name}");
        }
    }

    #[test]
    fn every_member_of_the_workspace_is_a_source() {
        let text = fs::read_to_string(tool::workspace().join("Cargo.toml")).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        let members = table["workspace"]["members"].as_array().unwrap();
        for member in members {
            let member = member.as_str().unwrap();
            let top = member.split('/').next().unwrap();
            // The tests use what is built, and nothing of them goes into it.
            let is_source = image::sources(Image::Test).any(|source| source == top);
            assert!(top == "tests" || is_source, "{member}");
        }
    }
}
