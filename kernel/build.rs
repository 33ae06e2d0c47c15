//! Compiles the C victims the way the kernel of 2016 was compiled: with a call
//! of `_mcount` at each function's local entry.

fn main() {
    println!("cargo::rerun-if-changed=c/victims.c");
    println!("cargo::rerun-if-changed=c/laboratory.c");
    // The compiler's flags name it, which cargo does not look into.
    println!("cargo::rerun-if-changed=../linker.ld");
    cpatch::c()
        .flag("-O2")
        .files(["c/victims.c", "c/laboratory.c"])
        .compile("victims");
}
