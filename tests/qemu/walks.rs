//! The documents that take a reader through something: done as they say.

use crate::harness::{kernel, trial};
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use std::collections::BTreeSet;
use walk::tree::Tree;

/// A long one. There is one copy of the tree, for these and the exercises.
pub fn first() -> Vec<Trial> {
    vec![trial("walk::add-a-variant", add_a_variant)]
}

/// The other one.
pub fn last() -> Vec<Trial> {
    vec![trial("walk::add-a-patch", add_a_patch)]
}

/// Does what a document says in a copy of the tree, and returns what has changed.
fn changes(document: &str) -> Result<BTreeSet<String>> {
    // What both builds share is built once, and not by two at a time.
    kernel()?;
    let tree = Tree::fresh("walk")?;
    walk::walk(&tree, document)?;
    tree.changes()
}

fn expect(changes: &BTreeSet<String>, expected: &[&str]) -> Result<()> {
    let expected: BTreeSet<String> = expected.iter().map(|line| (*line).to_owned()).collect();
    ensure!(
        *changes == expected,
        "changed: {changes:?} instead of {expected:?}"
    );
    Ok(())
}

/// A variant is one new file, and a change to another.
fn add_a_variant() -> Result<()> {
    let changes = changes("docs/add-a-variant.md")?;
    expect(
        &changes,
        &[
            "M kernel/src/livepatch/variants/mod.rs",
            "?? kernel/src/livepatch/variants/mini_frame_copying.rs",
        ],
    )
}

/// A patch is a folder, and a line for it in cargo's list.
fn add_a_patch() -> Result<()> {
    let changes = changes("docs/add-a-patch.md")?;
    expect(
        &changes,
        &[
            "M Cargo.lock",
            "?? patches/ten_percent/Cargo.toml",
            "?? patches/ten_percent/src/lib.rs",
        ],
    )
}
