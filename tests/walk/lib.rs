//! Runs the commands of documents: a *walk* does what a document's fenced blocks say, in
//! their order, in a copy of the tree, and compares what is printed.
//!
//! - [`document`] finds the blocks;
//! - [`expect`] compares output with what a document shows;
//! - [`tree`] is the copy of the tree, which keeps what was built before;
//! - [`shell`] runs commands there, and ends those that fall silent.
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
//! | `console terminal=NAME` | one terminal: in the first block a command that goes on, as `make shell` does; in later ones what is typed behind its `klplab> `, while other blocks run beside it. What still runs ends with the document |
//! | `klplab` | lines for the kernel's shell, each of which must do what it was asked |
//! | `diff` | a change for `git apply` |
//! | any with `file=PATH` | the whole text of a file |
//! | `text`, `asm`, `rust`, `toml`, `json` | only to look at |
//!
//! Anything else is an error, so that nothing is left out in silence, and so is a block
//! only to look at with lines that one would type. In a `console`, what stands behind
//! `klplab> ` or `(gdb) ` is typed to the command that runs. In what a command prints, a
//! line `...` stands for any lines, and `...` in a line for any text; addresses and times
//! may be others.

pub mod document;
pub mod expect;
pub mod shell;
pub mod tree;

use anyhow::{Context, Result, bail, ensure};
use document::{Block, Exchange, Kind};
use shell::Running;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use tree::Tree;

/// Does what a document says, in a tree. The document is the tree's own copy, by its
/// path there.
///
/// # Errors
/// When the document makes no sense, or a step has another result than it says.
pub fn walk(tree: &Tree, document: &str) -> Result<()> {
    walk_but(tree, document, |_| false)
}

/// The same, but for those commands of `sh` blocks, by the line, that `elsewhere` knows.
///
/// # Errors
/// When the document makes no sense, or a step has another result than it says.
pub fn walk_but(tree: &Tree, document: &str, elsewhere: impl Fn(&str) -> bool) -> Result<()> {
    let text = std::fs::read_to_string(tree.path().join(document))
        .with_context(|| format!("{document} could not be read"))?;
    let blocks = document::blocks(&text).with_context(|| document.to_owned())?;
    let acting = blocks.iter().filter(|block| block.kind != Kind::Figure);
    ensure!(acting.count() > 0, "{document} has nothing that can be run");
    let mut terminals = BTreeMap::new();
    for block in &blocks {
        step(tree, block, &elsewhere, &mut terminals).with_context(|| document.to_owned())?;
    }
    Ok(())
}

/// A line of an `sh` block without what is said of it.
#[must_use]
pub fn command_of(line: &str) -> &str {
    line.split(" #").next().unwrap_or(line).trim()
}

/// What runs in terminals, by the terminal's name.
type Terminals = BTreeMap<String, Running>;

/// Does what a block says.
fn step(
    tree: &Tree,
    block: &Block,
    elsewhere: &impl Fn(&str) -> bool,
    terminals: &mut Terminals,
) -> Result<()> {
    let line = block.line;
    match &block.kind {
        Kind::Figure => Ok(()),
        Kind::Commands => {
            let here = block
                .text
                .lines()
                .filter(|line| !elsewhere(command_of(line)));
            let here: String = here.map(|line| format!("{line}\n")).collect();
            let (well, printed) = shell::run(tree, &format!("set -eu\n{here}"))?;
            ensure!(well, "line {line}: the commands failed:\n{printed}");
            Ok(())
        }
        Kind::Dialogue { fails } => {
            for exchange in document::exchanges(block)? {
                talk(tree, &exchange, *fails)?;
            }
            Ok(())
        }
        Kind::Terminal(name) => {
            for exchange in document::exchanges(block)? {
                type_in(tree, &exchange, name, terminals)?;
            }
            Ok(())
        }
        Kind::Typed => {
            let (well, printed) = shell::run_typing(tree, "make shell", &block.text)?;
            // The kernel's own words, if it got so far as to say them.
            let mut said = printed.lines();
            let failed = said.rfind(|line| line.contains(" lines failed"));
            let failed = failed.unwrap_or("a command failed");
            ensure!(well, "line {line}: {failed}:\n{printed}");
            Ok(())
        }
        Kind::Diff => {
            ensure!(
                tree.is_copy(),
                "line {line}: a change needs a copy of the tree"
            );
            let well = shell::feed(tree, &["git", "apply", "-"], &block.text);
            well.with_context(|| format!("line {line}: the change does not apply"))
        }
        Kind::File(path) => {
            ensure!(
                tree.is_copy(),
                "line {line}: a file needs a copy of the tree"
            );
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
    let Exchange { line, command, .. } = exchange;
    let (well, printed) = shell::run_typing(tree, command, &exchange.input())
        .with_context(|| format!("line {line}: `{command}`"))?;
    if well == fails {
        let how = if well { "succeeded" } else { "failed" };
        bail!("line {line}: `{command}` {how}, and should not have; it printed:\n{printed}");
    }
    check(exchange, &printed)
}

/// Starts a command in a terminal, or types to the one that runs there, and compares what is
/// printed. The kernel's shell prints its prompt with the line that it has read, so an empty
/// line behind says when all is there.
fn type_in(tree: &Tree, exchange: &Exchange, name: &str, terminals: &mut Terminals) -> Result<()> {
    let Exchange { line, command, .. } = exchange;
    let is_typed = exchange.is_typed();
    let terminal = match terminals.entry(name.to_owned()) {
        Entry::Occupied(entry) if is_typed => {
            let running = entry.into_mut();
            running.type_in(&format!("{command}\n\n"));
            running
        }
        Entry::Vacant(entry) if !is_typed => {
            let running = entry.insert(Running::open(tree, command)?);
            running.type_in("\n");
            running
        }
        Entry::Occupied(_) => bail!("line {line}: something runs in terminal {name} already"),
        Entry::Vacant(_) => bail!("line {line}: nothing runs in terminal {name}"),
    };
    let end = format!("{}\n", document::SHELL);
    let printed = terminal.listen(Some(&end));
    check(
        exchange,
        &printed.with_context(|| format!("line {line}: `{command}`"))?,
    )
}

/// Compares what a command printed.
fn check(exchange: &Exchange, printed: &str) -> Result<()> {
    let Exchange { line, command, .. } = exchange;
    // The debugger shows its prompt, and not what it reads.
    let said = printed.replace(document::DEBUGGER, "");
    let (places, expected): (Vec<usize>, Vec<String>) = (exchange.expected.iter().enumerate())
        .filter(|(_, line)| !line.starts_with(document::DEBUGGER))
        .map(|(place, line)| (place, line.clone()))
        .unzip();
    if let Err(missing) = expect::compare(&expected, &said) {
        let (line, wanted) = match expected.get(missing) {
            Some(wanted) => (exchange.first_expected() + places[missing], wanted.as_str()),
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
    fn what_is_typed_reaches_the_command_and_what_is_run_elsewhere_is_left_out() {
        let tree = Tree::bare("typing").unwrap();
        let text = "```console\n$ read a; read b; echo $a at 0x1f0, $b\n(gdb) one\n(gdb) two\n\
            one at 0x200, two\n```\n```sh\ntrue\nfalse x   # a word on it\n```\n";
        std::fs::write(tree.path().join("d.md"), text).unwrap();
        walk_but(&tree, "d.md", |line| line == "false x").unwrap();
        assert!(walk(&tree, "d.md").is_err());
    }

    #[test]
    fn a_terminal_goes_on_beside_other_blocks() {
        let text = "```text file=Makefile\nshell:\n\t@echo up; while read a; do \\\n\
            \techo \"klplab> $$a\"; if test \"$$a\"; then cat made; fi; done\n```\n\
            ```console terminal=1\n$ make shell\nup\n```\n```sh\necho one >made\n```\n\
            ```console terminal=1\nklplab> a b\none\n```\n```sh\necho two >made\n```\n\
            ```console terminal=1\nklplab> c\ntwo\n";
        assert_eq!(walked(&format!("{text}```\n")).unwrap(), "two\n");
        for (more, problem) in [
            (
                "klplab> d\nthree\n```\n",
                "d.md: line 24: `d` did not print what the document shows, first:\nthree\n",
            ),
            (
                "$ make shell\n```\n",
                "d.md: line 23: something runs in terminal 1 already",
            ),
            (
                "```\n```console terminal=2\nklplab> e\n```\n",
                "d.md: line 25: nothing runs in terminal 2",
            ),
        ] {
            let error = format!("{:#}", walked(&format!("{text}{more}")).unwrap_err());
            assert!(error.contains(problem), "{error}");
        }
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
                "```text file=Makefile\nshell:\n\t@cat; echo '1 of 2 lines failed: `b`'; false\n```\n\
                 ```klplab\na\nb\n```\n",
                "d.md: line 5: 1 of 2 lines failed: `b`:\na\nb\n",
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
            (
                "```console\n$ read a; echo $a\n(gdb) x\ny\n```\n",
                "d.md: line 4: `read a; echo $a` did not print what the document shows, first:\ny\n\
                 It printed:\nx\n",
            ),
            ("```text\n```\n", "d.md has nothing that can be run"),
            ("```python\n```\n", "d.md: line 1: there is nothing to do"),
        ] {
            let error = format!("{:#}", walked(text).unwrap_err());
            assert!(error.contains(problem), "{error}");
        }
    }
}
