//! Compiles the C functions to be traced and patched the way the kernel of 2016 was
//! compiled: with a call of `_mcount` at each function's local entry.

fn main() {
    println!("cargo::rerun-if-changed=c/targets.c");
    println!("cargo::rerun-if-changed=c/laboratory.c");
    // The compiler's flags name it, which cargo does not look into.
    println!("cargo::rerun-if-changed=../linker.ld");
    cpatch::c()
        .flag("-O2")
        .files(["c/targets.c", "c/laboratory.c"])
        .compile("targets");
}
