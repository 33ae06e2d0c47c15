//! `book`: the documents as a book, with an order, a search and the crates' own
//! documentation beside it.

use crate::{check, kernel, tool};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of mdbook that is installed, below the target folder, if it is not there.
const MDBOOK: &str = "0.5.4";

/// The chapters, in the order in which they are read: the file, and its title.
const CHAPTERS: [(&str, &[(&str, &str)]); 5] = [
    (
        "klplab",
        &[
            ("README.md", "What it is"),
            ("docs/tour.md", "A tour of the code"),
            ("docs/abi.md", "The ABI, frame by frame"),
        ],
    ),
    (
        "How it works",
        &[
            ("docs/ftrace.md", "Tracing"),
            ("docs/modules.md", "Patch modules"),
            ("docs/livepatch.md", "Live patching"),
            ("docs/live.md", "Live patches from edits"),
            ("docs/cpus.md", "Several CPUs"),
            ("docs/translation.md", "Translation of addresses"),
            ("docs/linux.md", "Linux beside it"),
        ],
    ),
    (
        "Tools",
        &[
            ("docs/monitor.md", "The monitor"),
            ("docs/step.md", "The guided step"),
            ("docs/debugger.md", "The debugger"),
            ("docs/laboratory.md", "The laboratory"),
            ("docs/costs.md", "Costs"),
            ("docs/report.md", "The page of a run"),
        ],
    ),
    (
        "Doing",
        &[
            ("docs/add-a-patch.md", "Add a patch"),
            ("docs/c-patches.md", "A patch in C"),
            ("docs/add-a-variant.md", "Add a variant"),
            ("docs/exercises/README.md", "Exercises"),
            ("docs/exercises/01-greeting.md", "1. A greeting"),
            ("docs/exercises/02-site.md", "2. The site"),
            ("docs/exercises/03-together.md", "3. Together"),
            ("docs/exercises/04-holders.md", "4. What blocks it"),
            ("docs/exercises/05-break.md", "5. Break an epilogue"),
            ("docs/exercises/06-repair.md", "6. Repair an epilogue"),
            ("docs/exercises/07-shadow.md", "7. Shadow variables"),
            ("docs/exercises/08-cumulative.md", "8. A cumulative patch"),
            ("docs/exercises/09-callbacks.md", "9. Callbacks"),
            ("docs/exercises/10-leave.md", "10. A patch that lets go"),
            ("docs/exercises/11-variant.md", "11. A variant"),
            ("docs/exercises/12-tickets.md", "12. Tickets"),
            ("docs/exercises/13-points.md", "13. Points"),
        ],
    ),
    (
        "Working on it",
        &[
            ("CONTRIBUTING.md", "Contributing"),
            ("docs/testing.md", "Testing"),
            ("docs/setup.md", "Setup"),
        ],
    ),
];

/// Makes the book, and returns its first page.
///
/// # Errors
/// When a chapter is missing, mdbook can't be installed, or a page can't be made.
pub fn book() -> Result<PathBuf> {
    let folder = tool::target_dir().join("book");
    let source = folder.join("src");
    let _ = std::fs::remove_dir_all(&source);
    tool::replace_file(&folder.join("book.toml"), SETTINGS.as_bytes())?;
    tool::replace_file(&source.join("SUMMARY.md"), summary().as_bytes())?;
    tool::replace_file(&source.join("crates.md"), crates().as_bytes())?;
    for (file, _) in chapters() {
        let text = String::from_utf8(tool::read_file(&tool::workspace().join(file))?)?;
        let text = with_links(&text, Path::new(file));
        tool::replace_file(&source.join(file), text.as_bytes())?;
    }
    let mut build = Command::new(program()?);
    build.arg("build").arg(&folder);
    ensure!(tool::status(&mut build)?.success(), "mdbook failed");
    check::document_kernel()?;
    let docs = tool::target_dir().join("powerpc64le-klplab").join("doc");
    let beside = folder.join("book").join("rustdoc");
    let _ = std::fs::remove_dir_all(&beside);
    copy(&docs, &beside)?;
    Ok(folder.join("book").join("index.html"))
}

/// What mdbook is told: the book's name, and that its pages can be searched.
const SETTINGS: &str = "[book]\ntitle = \"klplab\"\nlanguage = \"en\"\n\n\
    [output.html]\nno-section-label = true\n\n[output.html.search]\nenable = true\n";

fn chapters() -> impl Iterator<Item = (&'static str, &'static str)> {
    CHAPTERS.iter().flat_map(|(_, part)| part.iter().copied())
}

/// The table of contents, as mdbook wants it.
fn summary() -> String {
    let mut text = String::from("# Summary\n");
    for (part, chapters) in CHAPTERS {
        text = text + "\n# " + part + "\n\n";
        for (file, title) in chapters {
            text += &format!("- [{title}]({file})\n");
        }
    }
    text + "\n---\n\n[The crates](crates.md)\n"
}

/// The page that leads to the documentation of the kernel's crates.
fn crates() -> String {
    let begin = "# The crates\n\nWhat each says of itself, from bottom to top.\n\n".to_owned();
    kernel::PACKAGES.iter().fold(begin, |text, package| {
        let page = if *package == "kernel" {
            "klplab"
        } else {
            package
        };
        text + &format!("- [{package}](rustdoc/{page}/index.html)\n")
    })
}

/// A document in which only links to chapters and to other sites are left: of others, the
/// words stay. What is fenced is as it was.
fn with_links(text: &str, file: &Path) -> String {
    let parts = text.split("\n```").enumerate();
    let parts = parts.map(|(number, part)| match number % 2 {
        0 => outside_a_fence(part, file),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("\n```")
}

fn outside_a_fence(text: &str, file: &Path) -> String {
    let here = file.parent().unwrap_or(Path::new(""));
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("](")
        && let Some((target, after)) = behind.split_once(')')
    {
        out += before;
        let path = target.split('#').next().unwrap_or_default();
        let is_chapter = || {
            let path = normal(&here.join(path));
            chapters().any(|(file, _)| Path::new(file) == path)
        };
        if path.is_empty() || path.contains("://") || is_chapter() {
            out += &format!("]({target})");
        } else {
            match out.rfind('[') {
                Some(place) => drop(out.remove(place)),
                None => out += "]",
            }
        }
        rest = after;
    }
    out + rest
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(parts.pop()),
            std::path::Component::CurDir => {}
            other => parts.push(other),
        }
    }
    parts
}

/// mdbook, installed if it is not there.
fn program() -> Result<PathBuf> {
    let tools = tool::target_dir().join("tools").join(MDBOOK);
    let program = tools.join("bin").join("mdbook");
    if !program.is_file() {
        eprintln!(
            "klplab: installing mdbook {MDBOOK} below {}",
            tools.display()
        );
        let mut cargo = tool::cargo();
        cargo.args(["install", "mdbook", "--version", MDBOOK, "--locked"]);
        cargo.args(["--no-default-features", "--features", "search", "--root"]);
        ensure!(
            tool::status(cargo.arg(&tools))?.success(),
            "mdbook could not be installed"
        );
    }
    Ok(program)
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for file in tool::files_below(from)? {
        let target = to.join(file.strip_prefix(from)?);
        let copied = std::fs::create_dir_all(target.parent().unwrap_or(to))
            .and_then(|()| std::fs::copy(&file, &target));
        copied.with_context(|| format!("{} could not be copied", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_a_chapter() {
        let docs = tool::workspace().join("docs");
        for folder in [docs.clone(), docs.join("exercises")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(tool::workspace()).unwrap();
                let is_document = name.extension().is_some_and(|end| end == "md");
                let is_chapter = chapters().any(|(file, _)| Path::new(file) == name);
                assert_eq!(is_document, is_chapter, "{}", name.display());
            }
        }
    }

    #[test]
    fn links_lead_to_chapters_or_nowhere() {
        let text = "See [ABI](abi.md#r2), [code](../kernel/x.rs), [mail](https://a.b/c).\n```\na[0](b)\n```\n";
        let expected = "See [ABI](abi.md#r2), code, [mail](https://a.b/c).\n```\na[0](b)\n```\n";
        assert_eq!(with_links(text, Path::new("docs/tour.md")), expected);
        // No link at all, though it begins as one.
        assert_eq!(with_links("a [b](c", Path::new("README.md")), "a [b](c");
    }
}
