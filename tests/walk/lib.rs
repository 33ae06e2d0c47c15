//! Documents whose commands are run: a *walk* does what a document's fenced blocks
//! say, in their order, in a copy of the tree, and compares what is printed.
//!
//! - [`document`] finds the blocks;
//! - [`expect`] compares output with what a document shows;
//! - [`tree`] is the copy of the tree, which keeps what was built before;
//! - [`shell`] runs commands there, under a time limit.
//!
//! [`walk`] puts them together. A failure names the document's line.
//!
//! What a block's info string means:
//!
//! | info string | the block is |
//! |---|---|
//! | `sh` | commands, the whole block in one shell; each must succeed |
//! | `console` | commands behind `$ `, each with what it prints; each must succeed |
//! | `console fails` | the same, and each must fail |
//! | `diff` | a change for `git apply` |
//! | any with `file=PATH` | the whole text of a file |
//! | `text` | only to look at |
//!
//! Anything else is an error, so that nothing is left out in silence. In what a
//! command prints, a line `...` stands for any lines, and `...` in a line for any text.

pub mod document;
pub mod expect;
pub mod shell;
pub mod tree;

use anyhow::{Context, Result, bail, ensure};
use document::{Block, Exchange, Kind};
use std::path::Path;
use tree::Tree;

/// Does what a document says, in a tree. The document is the tree's own copy, by its
/// path there.
///
/// # Errors
/// When the document makes no sense, or a step has another result than it says.
pub fn walk(tree: &Tree, document: &str) -> Result<()> {
    let text = std::fs::read_to_string(tree.path().join(document))
        .with_context(|| format!("{document} could not be read"))?;
    let blocks = document::blocks(&text).with_context(|| document.to_owned())?;
    let acting = blocks.iter().filter(|block| block.kind != Kind::Figure);
    ensure!(acting.count() > 0, "{document} has nothing that can be run");
    for block in &blocks {
        step(tree, block).with_context(|| document.to_owned())?;
    }
    Ok(())
}

/// Does what a block says.
fn step(tree: &Tree, block: &Block) -> Result<()> {
    let line = block.line;
    match &block.kind {
        Kind::Figure => Ok(()),
        Kind::Commands => {
            let (well, printed) = shell::run(tree, &format!("set -eu\n{}", block.text))?;
            ensure!(well, "line {line}: the commands failed:\n{printed}");
            Ok(())
        }
        Kind::Dialogue { fails } => {
            for exchange in document::exchanges(block)? {
                talk(tree, &exchange, *fails)?;
            }
            Ok(())
        }
        Kind::Diff => {
            let well = shell::feed(tree, &["git", "apply", "-"], &block.text);
            well.with_context(|| format!("line {line}: the change does not apply"))
        }
        Kind::File(path) => {
            let inside = Path::new(path);
            let plain = |part| matches!(part, std::path::Component::Normal(_));
            ensure!(
                inside.components().all(plain),
                "line {line}: {path} does not name a file in the tree"
            );
            let written =
                xtask::tool::replace_file(&tree.path().join(inside), block.text.as_bytes());
            written.with_context(|| format!("line {line}"))
        }
    }
}

/// Runs a command, and compares what it prints.
fn talk(tree: &Tree, exchange: &Exchange, fails: bool) -> Result<()> {
    let Exchange {
        line,
        command,
        expected,
    } = exchange;
    let (well, printed) =
        shell::run(tree, command).with_context(|| format!("line {line}: `{command}`"))?;
    if well == fails {
        let how = if well { "succeeded" } else { "failed" };
        bail!("line {line}: `{command}` {how}, and should not have; it printed:\n{printed}");
    }
    if let Err(missing) = expect::compare(expected, &printed) {
        let (line, wanted) = match expected.get(missing) {
            Some(wanted) => (
                line + exchange.lines_of_command() + missing,
                wanted.as_str(),
            ),
            None => (*line, "(nothing more)"),
        };
        bail!(
            "line {line}: `{command}` did not print what the document shows, first:\n{wanted}\n\
             It printed:\n{printed}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn walked(text: &str) -> Result<String> {
        static TREES: AtomicUsize = AtomicUsize::new(0);
        let number = TREES.fetch_add(1, Ordering::Relaxed);
        let tree = Tree::bare(&format!("walked-{number}"))?;
        std::fs::write(tree.path().join("d.md"), text)?;
        walk(&tree, "d.md")?;
        Ok(std::fs::read_to_string(tree.path().join("made"))?)
    }

    #[test]
    fn a_document_is_done_step_by_step() {
        let text = "# Do\n```text file=made\none\ntwo\n```\n```diff\n--- a/made\n+++ b/made\n\
            @@ -1,2 +1,2 @@\n one\n-two\n+three\n```\n```sh\nx=four\necho $x >>made\n```\n\
            ```console\n$ cat made\none\n...\nfour\n```\n```console fails\n$ ls missing\n...missing...\n```\n";
        assert_eq!(walked(text).unwrap(), "one\nthree\nfour\n");
    }

    #[test]
    fn what_is_not_as_the_document_says_is_told_with_its_line() {
        for (text, problem) in [
            (
                "\n```console\n$ echo a; echo b\na\nc\n```\n",
                "d.md: line 5: `echo a; echo b` did not print what the document shows, first:\nc\n\
                 It printed:\na\nb\n",
            ),
            (
                "```console\n$ echo a\n```\n",
                "d.md: line 2: `echo a` did not print what the document shows, first:\n(nothing more)",
            ),
            (
                "```console\n$ false\n```\n",
                "d.md: line 2: `false` failed, and should not have",
            ),
            (
                "```console fails\n$ true\n```\n",
                "d.md: line 2: `true` succeeded, and should not have",
            ),
            (
                "```sh\nfalse\ntrue\n```\n",
                "d.md: line 1: the commands failed",
            ),
            (
                "```diff\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n```\n",
                "d.md: line 1: the change does not apply",
            ),
            (
                "```rust file=../x\n```\n",
                "line 1: ../x does not name a file in the tree",
            ),
            ("```text\n```\n", "d.md has nothing that can be run"),
            ("```python\n```\n", "d.md: line 1: nobody knows what to do"),
        ] {
            let error = format!("{:#}", walked(text).unwrap_err());
            assert!(error.contains(problem), "{error}");
        }
    }
}
