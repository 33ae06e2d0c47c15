//! Compiles the C victims the way the kernel of 2016 was compiled: with a call
//! of `_mcount` at each function's local entry.

use std::env;

fn main() {
    let prefix = env::var("CROSS_COMPILE").unwrap_or_else(|_| "powerpc64le-linux-gnu-".into());
    println!("cargo::rerun-if-env-changed=CROSS_COMPILE");
    println!("cargo::rerun-if-changed=c/victims.c");
    println!("cargo::rerun-if-changed=c/laboratory.c");
    // The compiler's flags name it, which cargo does not look into.
    println!("cargo::rerun-if-changed=../linker.ld");
    cc::Build::new()
        .target("powerpc64le-unknown-linux-gnu")
        .compiler(format!("{prefix}gcc"))
        .archiver(format!("{prefix}ar"))
        .no_default_flags(true)
        .flags([
            "-mcpu=power8",
            "-mabi=elfv2",
            "-mlittle-endian",
            "-mcmodel=medium",
        ])
        .flags([
            "-O2",
            "-g",
            "-ffreestanding",
            "-fno-pic",
            "-fno-asynchronous-unwind-tables",
        ])
        .flags([
            "-msoft-float",
            "-mno-altivec",
            "-mno-vsx",
            "-fno-stack-protector",
        ])
        .flags(["-pg", "-mprofile-kernel"])
        // Two functions of one body stay two: a patch of one must not reach the other.
        .flag("-fno-ipa-icf")
        .flags(["-std=c11", "-Wall", "-Wextra", "-Werror"])
        .files(["c/victims.c", "c/laboratory.c"])
        .compile("victims");
}
