//! Tells the build scripts of patches which return convention this is built in
//! (`DEP_KLP_CONVENTION`), and where `klp.h` is (`DEP_KLP_INCLUDE`).

use std::env;

fn main() {
    // In the order of src/convention.rs.
    let features = ["plain", "as-posted", "pcrel"];
    let is_set = |name: &&str| {
        let name = name.to_uppercase().replace('-', "_");
        env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
    };
    let convention = features.into_iter().find(is_set).unwrap_or("epilogue");
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo::metadata=convention={convention}");
    println!("cargo::metadata=include={folder}/include");
    println!("cargo::rerun-if-changed=build.rs");
}
