//! What `make check` denies, it denies everywhere.

use std::path::PathBuf;
use toml::Table;
use xtask::tool;

/// A manifest of the tree.
fn manifest(folder: PathBuf) -> Table {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).expect("a package has a manifest");
    let parsed = text.parse();
    parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A public item without documentation is a warning, which `check` denies, but only in
/// packages that ask for the workspace's lints. Patches are left out: nothing uses their
/// items, and a reader's own need no documentation.
#[test]
fn public_items_are_documented_in_every_package() {
    let root = tool::workspace();
    let lints = &manifest(root.to_owned())["workspace"]["lints"]["rust"];
    assert_eq!(lints["missing_docs"].as_str(), Some("warn"));
    let crates = std::fs::read_dir(root.join("crates")).expect("there are crates");
    let crates = crates.map(|entry| entry.expect("an entry").path());
    let kernels = xtask::kernel::PACKAGES.map(|name| root.join(xtask::kernel::folder(name)));
    let others = ["tests", "xtask"].map(|name| root.join(name));
    let folders: Vec<PathBuf> = crates.chain(kernels).chain(others).collect();
    assert!(folders.len() > 15, "{folders:?}");
    for folder in folders {
        let name = folder.display().to_string();
        let has = manifest(folder)
            .get("lints")
            .and_then(|lints| lints.get("workspace")?.as_bool());
        assert_eq!(has, Some(true), "{name} lacks `lints.workspace = true`");
    }
}
