//! Assembly and C for the bare machine, compiled from build scripts: the kernel's entries,
//! its functions, and the replacement functions of patches (docs/c-patches.md).

use klp::Convention;
use klp::convention::FrameHeader;
use std::env;
use std::mem::offset_of;
use std::path::Path;

/// The cross compiler, for assembly and C: ELFv2 on the oldest processor that the kernel
/// runs on.
#[must_use]
pub fn cross() -> cc::Build {
    let prefix = env::var("CROSS_COMPILE").unwrap_or_else(|_| "powerpc64le-linux-gnu-".into());
    println!("cargo::rerun-if-env-changed=CROSS_COMPILE");
    let mut build = cc::Build::new();
    build
        .target("powerpc64le-unknown-linux-gnu")
        .compiler(format!("{prefix}gcc"))
        .archiver(format!("{prefix}ar"))
        .no_default_flags(true)
        .flags(["-mcpu=power8", "-mabi=elfv2", "-mlittle-endian"])
        .flags(["-g", "-Wall", "-Wextra", "-Werror"]);
    build
}

/// The same for C that the kernel runs: freestanding, without floating point and vectors,
/// each function with the site of the kernel of 2016 (`mflr r0; bl _mcount`).
#[must_use]
pub fn c() -> cc::Build {
    let mut build = cross();
    build
        .flags(["-std=gnu11", "-mcmodel=medium"])
        .flags(["-ffreestanding", "-fno-pic"])
        .flags(["-fno-asynchronous-unwind-tables", "-fno-stack-protector"])
        .flags(["-msoft-float", "-mno-altivec", "-mno-vsx"])
        .flags(["-pg", "-mprofile-kernel"])
        // As rustc does: so a function can be compared, and taken out, by itself.
        .flags(["-ffunction-sections", "-fdata-sections"])
        // Two functions of one body stay two: a patch of one must not reach the other.
        .flag("-fno-ipa-icf");
    build
}

/// Compiles files of a patch, at the patch's own optimisation level and for the return
/// convention that it is built in, and has them linked into it. `klp.h` is found.
///
/// To be called by the build script of a crate that depends on `klp`. For another target
/// than the bare machine it does nothing.
///
/// # Panics
/// When something is missing or gcc fails; cargo shows why.
pub fn compile(files: &[&str]) {
    let target = env::var("TARGET").expect("cargo sets TARGET");
    if !target.starts_with("powerpc64le-klplab") {
        return;
    }
    // What klp's build script says.
    let of_klp = |what: &str| {
        let name = format!("DEP_KLP_{what}");
        env::var(name).expect("a patch lists `klp` in [dependencies]")
    };
    let convention = Convention::from_name(&of_klp("CONVENTION"));
    let convention = convention.expect("klp names one of its own conventions");
    let include = of_klp("INCLUDE");
    println!("cargo::rerun-if-changed={include}");
    for file in files {
        assert!(Path::new(file).is_file(), "there is no {file}");
        println!("cargo::rerun-if-changed={file}");
    }
    let mut build = c();
    if convention == Convention::Pcrel {
        // Of several processors, gcc takes the last.
        build.flags(["-mcpu=power10", "-mpcrel"]);
    }
    let level = env::var("OPT_LEVEL").expect("cargo sets OPT_LEVEL");
    // rustc's `z` is clang's.
    let level = if level == "z" { "s" } else { &level };
    let name = convention.name().to_uppercase().replace('-', "_");
    build.define(&format!("KLP_{name}"), None);
    for (name, offset) in [
        ("BACK_CHAIN", offset_of!(FrameHeader, back_chain)),
        ("RESERVED", offset_of!(FrameHeader, reserved)),
        ("LR_SAVE", offset_of!(FrameHeader, lr_save)),
    ] {
        build.define(&format!("KLP_{name}"), offset.to_string().as_str());
    }
    build
        .flag(format!("-O{level}"))
        // What the descriptor does not reach is left out. A traceback table would lie in
        // the function.
        .flags(["-ffunction-sections", "-fdata-sections", "-mtraceback=no"])
        .include(include)
        .files(files)
        .compile("klp_c");
}
