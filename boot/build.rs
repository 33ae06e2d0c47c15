//! Assembles `entry.S`, `client.S` and `vectors.S` with the cross compiler,
//! after writing the header that gives them the structs' offsets.

use std::{env, fs, path::PathBuf};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("layout.h"), layout::assembly_header()).expect("OUT_DIR is writable");

    let sources = ["entry.S", "client.S", "vectors.S"];
    for source in sources.iter().chain(&["asm.h"]) {
        println!("cargo::rerun-if-changed=src/{source}");
    }
    cpatch::cross()
        .flag("-Wa,-mregnames")
        .include(&out)
        .files(sources.iter().map(|source| format!("src/{source}")))
        .compile("boot_asm");
}
