//! Assembles `entry.S`, `client.S` and `vectors.S` with the cross compiler,
//! after writing the header that gives them the structs' offsets.

use std::{env, fs, path::PathBuf};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("layout.h"), layout::assembly_header()).expect("OUT_DIR is writable");

    let prefix = env::var("CROSS_COMPILE").unwrap_or_else(|_| "powerpc64le-linux-gnu-".into());
    println!("cargo::rerun-if-env-changed=CROSS_COMPILE");

    let sources = ["entry.S", "client.S", "vectors.S"];
    for source in sources.iter().chain(&["asm.h"]) {
        println!("cargo::rerun-if-changed=src/{source}");
    }
    cc::Build::new()
        .target("powerpc64le-unknown-linux-gnu")
        .compiler(format!("{prefix}gcc"))
        .archiver(format!("{prefix}ar"))
        .no_default_flags(true)
        .flag("-mcpu=power8")
        .flag("-mabi=elfv2")
        .flag("-mlittle-endian")
        .flag("-Wa,-mregnames")
        .flag("-g")
        .flag("-Wall")
        .flag("-Werror")
        .include(&out)
        .files(sources.iter().map(|source| format!("src/{source}")))
        .compile("boot_asm");
}
