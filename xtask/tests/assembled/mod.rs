//! Functions written by hand, for the proof.

use klp::MOST_FRAME;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::tool;

/// The object file of a source in `tests/proof`.
pub fn assemble(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proof");
    // Tests run at the same time.
    let mut object = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    object.push(format!("{name}-{:?}.o", std::thread::current().id()));
    let mut assembler = Command::new(tool::cross("as"));
    assembler.args(["-mlittle", "-a64", "-I"]).arg(&folder);
    assembler
        .arg("--defsym")
        .arg(format!("MOST_FRAME={MOST_FRAME}"));
    assembler.arg("-o").arg(&object).arg(folder.join(name));
    assert!(tool::status(&mut assembler).unwrap().success(), "{name}");
    tool::read_file(&object).unwrap()
}
