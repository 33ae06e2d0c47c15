//! `map`: what the kernel is made of, from bottom to top, and how large each part is.

use crate::{image, kernel, tool};
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What a source file has, in lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lines {
    /// With code on them; tests are left out.
    pub code: usize,
    /// With nothing but a comment on them.
    pub comments: usize,
}

impl Lines {
    fn add(&mut self, other: Self) {
        self.code += other.code;
        self.comments += other.comments;
    }

    /// Counts a source file's, in Rust, C or assembly. What `#[cfg(test)]` begins is a test,
    /// to the end of the file.
    #[must_use]
    pub fn of(source: &str) -> Self {
        let mut lines = Self::default();
        let mut in_block = false;
        for line in source.lines().map(str::trim) {
            if line == "#[cfg(test)]" {
                break;
            }
            let begins = line.starts_with("/*");
            if in_block || begins || line.starts_with("//") {
                in_block = (in_block || begins) && !line.contains("*/");
                lines.comments += 1;
            } else if !line.is_empty() {
                lines.code += 1;
            }
        }
        lines
    }

    /// Counts all files in a folder and below it.
    fn below(folder: &Path) -> Result<Self> {
        let mut lines = Self::default();
        for path in tool::files_below(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_source = [".rs", ".S", ".c"].iter().any(|end| name.ends_with(end));
            if is_source && name != "tests.rs" {
                let source = String::from_utf8(tool::read_file(&path)?)?;
                lines.add(Self::of(&source));
            }
        }
        Ok(lines)
    }
}

/// A package of the workspace: how large it is, and which packages of it it knows.
struct Package {
    lines: Lines,
    knows: BTreeSet<String>,
}

/// A package in its folder. Its sources are in `src`, and in `c` if it has C.
fn package(folder: &Path) -> Result<Package> {
    let mut lines = Lines::below(&folder.join("src"))?;
    let c = folder.join("c");
    if c.is_dir() {
        lines.add(Lines::below(&c)?);
    }
    let manifest = String::from_utf8(tool::read_file(&folder.join("Cargo.toml"))?)?;
    let table: toml::Table = toml::from_str(&manifest)?;
    let knows = table.get("dependencies").and_then(toml::Value::as_table);
    let knows = knows.into_iter().flat_map(|table| table.keys().cloned());
    Ok(Package {
        lines,
        knows: knows.collect(),
    })
}

/// The table: a row for each package of the kernel, from bottom to top, and one for those of
/// `crates/` that they use.
///
/// # Errors
/// When a source can't be read.
pub fn map() -> Result<String> {
    let root = tool::workspace();
    let crates = root.join("crates");
    let mut below: BTreeSet<String> = BTreeSet::new();
    let mut text = format!("{:<12} {:>6} {:>9}  knows\n", "", "code", "comments");
    let mut all = Lines::default();
    let mut row = |name: &str, lines: Lines, knows: &str| {
        let Lines { code, comments } = lines;
        let _ = writeln!(text, "{name:<12} {code:>6} {comments:>9}  {knows}");
        all.add(lines);
    };
    let mut rows = Vec::new();
    for name in kernel::PACKAGES {
        let package = package(&root.join(kernel::folder(name)))?;
        let kernels = kernel::PACKAGES.iter();
        let knows: Vec<&str> = kernels
            .copied()
            .filter(|one| package.knows.contains(*one))
            .collect();
        below.extend(package.knows.iter().cloned());
        rows.push((name, package.lines, knows.join(" ")));
    }
    // What those crates use themselves.
    let mut queue: Vec<String> = below.iter().cloned().collect();
    let mut logic = Lines::default();
    let mut used = Vec::new();
    while let Some(name) = queue.pop() {
        let folder: PathBuf = crates.join(&name);
        if !folder.is_dir() {
            continue;
        }
        let package = package(&folder)?;
        logic.add(package.lines);
        used.push(name);
        queue.extend(
            package
                .knows
                .into_iter()
                .filter(|one| below.insert(one.clone())),
        );
    }
    used.sort();
    row(
        "crates/",
        logic,
        &format!("nothing of the kernel: {}", used.join(" ")),
    );
    for (name, lines, knows) in &rows {
        row(name, *lines, knows);
    }
    let Lines { code, comments } = all;
    let _ = writeln!(text, "{:<12} {code:>6} {comments:>9}", "all");
    let _ = writeln!(text, "\n{:<12} {:>6}  links", "image", "code");
    for image in image::ALL {
        let end = kernel::PACKAGES
            .iter()
            .position(|one| *one == image::package(image));
        let end = end.context("an image of no package")?;
        let sizes = rows.iter().take(end + 1).map(|(_, lines, _)| lines.code);
        let code = logic.code + sizes.sum::<usize>();
        let what = format!("crates/, boot to {}", image::package(image));
        let _ = writeln!(text, "{:<12} {code:>6}  {what}", image.word());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_counted_and_neither_comments_nor_blanks_nor_tests() {
        let source =
            "//! What.\n\nuse a; // b\n/* c\n d */\nfn e() {}\n\n#[cfg(test)]\nmod tests {\n}\n";
        let expected = Lines {
            code: 2,
            comments: 3,
        };
        assert_eq!(Lines::of(source), expected);
    }

    /// What a table of a document says: a name in the first cell, lines in the second.
    fn figures(document: &str) -> Vec<(String, usize)> {
        let rows = document.lines().filter_map(|line| {
            let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
            let name = cells.next()?.trim_start_matches(['[', '`']);
            let name = name.split([']', '`']).next()?;
            let lines = cells.next()?.replace(',', "").parse().ok()?;
            Some((name.to_owned(), lines))
        });
        rows.collect()
    }

    #[test]
    fn documents_say_what_the_map_says() {
        let map = map().unwrap();
        let rows = map.lines().filter_map(|row| {
            let mut words = row.split_whitespace();
            Some((words.next()?, words.next()?.parse::<usize>().ok()?))
        });
        let rows: Vec<_> = rows.collect();
        for (document, at_least) in [("README.md", 5), ("docs/tour.md", 11)] {
            let text = tool::read_file(&tool::workspace().join(document)).unwrap();
            let mut seen = 0;
            for (name, said) in figures(&String::from_utf8(text).unwrap()) {
                if let Some((_, lines)) = rows.iter().find(|(one, _)| *one == name) {
                    let rounded = (lines + 50) / 100 * 100;
                    assert_eq!(said, rounded, "{document}: {name} has {lines} lines");
                    seen += 1;
                }
            }
            assert!(seen >= at_least, "{document}: only {seen} figures");
        }
    }

    #[test]
    fn each_package_knows_only_those_before_it() {
        for (place, name) in kernel::PACKAGES.iter().enumerate() {
            let package = package(&tool::workspace().join(kernel::folder(name))).unwrap();
            for above in &kernel::PACKAGES[place..] {
                assert!(!package.knows.contains(*above), "{name} knows {above}");
            }
        }
    }
}
