//! Objects that rustc makes of a few lines, for the host: debug information is of the same
//! format for every machine.
#![allow(dead_code, reason = "each test uses a part of it")]

use debuginfo::{Functions, TypeChange, Types, compare};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Compiles a crate named `demo` as the kernel is compiled, and returns the object.
pub fn object(source: &str) -> Vec<u8> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("debuginfo-{}-{number}", std::process::id()));
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let prelude = "#![no_std]\n#![allow(dead_code, reason = \"nothing calls a snippet\")]\nextern crate alloc;\n";
    std::fs::write(folder.join("src/lib.rs"), format!("{prelude}{source}")).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(rustc)
        .current_dir(&folder)
        .args(["--crate-name=demo", "--crate-type=lib", "--edition=2024"])
        .args(["--emit=obj", "-Cdebuginfo=2", "-Copt-level=2"])
        .args(["-Ccodegen-units=1", "-Csymbol-mangling-version=v0"])
        .args(["-Cpanic=abort", "-o", "demo.o", "src/lib.rs"])
        .status()
        .unwrap();
    assert!(status.success(), "rustc did not compile:\n{source}");
    let object = std::fs::read(folder.join("demo.o")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    object
}

/// Lines of [`object`]'s own in front of the source.
pub const ABOVE: u32 = 3;

pub fn types(source: &str) -> Types {
    Types::read(&object(source)).unwrap()
}

pub fn functions(source: &str) -> Functions {
    Functions::read(&object(source)).unwrap()
}

/// What differs between two sources, as sentences.
pub fn said(old: &str, new: &str) -> Vec<String> {
    let changes = changes(old, new);
    changes.iter().map(TypeChange::to_string).collect()
}

pub fn changes(old: &str, new: &str) -> Vec<TypeChange> {
    compare(&types(old), &types(new))
}
