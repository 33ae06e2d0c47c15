//! The cross assembler and linker.

use kdiff::{Build, Change, Comparison, Form, Plan, Request, compare};
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A file of one test's.
fn file(kind: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("kdiff-{}-{number}.{kind}", std::process::id());
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn run(tool: &str, args: &[&str]) {
    let prefix = env::var("CROSS_COMPILE").unwrap_or_else(|_| "powerpc64le-linux-gnu-".into());
    let output = Command::new(format!("{prefix}{tool}"))
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What a source begins with: the unit's name.
const START: &str = ".abiversion 2\n.file \"unit\"\n";

/// Assembles a source.
pub fn object(source: &str) -> Vec<u8> {
    let (text, object) = (file("s"), file("o"));
    fs::write(&text, format!("{START}{source}\n")).unwrap();
    run(
        "as",
        &[
            "-mlittle",
            "-a64",
            "-mpower9",
            "-o",
            object.to_str().unwrap(),
            text.to_str().unwrap(),
        ],
    );
    let bytes = fs::read(&object).unwrap();
    fs::remove_file(text).unwrap();
    fs::remove_file(object).unwrap();
    bytes
}

/// An archive with these sources' objects. They have the same names in each archive.
pub fn archive(sources: &[&str]) -> Vec<u8> {
    let folder = file("d");
    fs::create_dir_all(&folder).unwrap();
    let archive = folder.join("a.rlib");
    let mut args = vec!["rcsD".to_owned(), archive.to_str().unwrap().to_owned()];
    for (number, source) in sources.iter().enumerate() {
        let path = folder.join(format!("{number}.o"));
        fs::write(&path, object(source)).unwrap();
        args.push(path.to_str().unwrap().to_owned());
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    run("ar", &args);
    let bytes = fs::read(&archive).unwrap();
    fs::remove_dir_all(folder).unwrap();
    bytes
}

/// Links a source as the kernel is linked: at its address, with a build id.
pub fn kernel(source: &str) -> Vec<u8> {
    let (object_file, kernel) = (file("o"), file("elf"));
    fs::write(&object_file, object(source)).unwrap();
    let mut args = vec![
        "-o",
        kernel.to_str().unwrap(),
        object_file.to_str().unwrap(),
    ];
    args.extend([
        "-Ttext=0x400000",
        "-e",
        "0",
        "--build-id=sha1",
        "--unresolved-symbols=ignore-all",
    ]);
    run("ld", &args);
    let bytes = fs::read(&kernel).unwrap();
    fs::remove_file(object_file).unwrap();
    fs::remove_file(kernel).unwrap();
    bytes
}

/// A build of one archive.
pub fn build(archive: &[u8]) -> Build<'_> {
    let mut build = Build::default();
    build.add("libunit-1", archive).unwrap();
    build
}

/// What is asked for of a plan, as `make live` does.
pub fn request(plan: &Plan, form: Form) -> Request<'_> {
    Request {
        name: "live",
        form,
        replace: true,
        functions: &plan.roots,
        hooks: &plan.hooks,
    }
}

/// What differs between two sources: change and name of each function and static.
pub fn differs(old: &str, new: &str) -> Vec<(Change, String)> {
    let (old, new) = (archive(&[old]), archive(&[new]));
    names(&compare(&build(&old), &build(&new)).unwrap())
}

pub fn names(comparison: &Comparison) -> Vec<(Change, String)> {
    let functions = comparison
        .functions
        .iter()
        .map(|one| (one.change, one.name.clone()));
    let statics = comparison.statics.iter();
    let statics = statics.map(|one| (one.change, format!("static {}", one.name)));
    functions.chain(statics).collect()
}

/// Checks that exactly these functions and statics have changed.
pub fn changed(old: &str, new: &str, expected: &[&str]) {
    let found = differs(old, new);
    let expected: Vec<_> = { expected.iter() }
        .map(|name| (Change::Changed, (*name).to_owned()))
        .collect();
    assert_eq!(found, expected, "{old}\n---\n{new}");
}

/// A function with a section of its own, as the compiler makes it: a global and a local entry, two
/// nops, a record.
pub fn function(name: &str, body: &str) -> String {
    format!(
        "
        .section .text.{name},\"ax\",@progbits
        .globl {name}
        .type {name},@function
{name}:
.Lglobal_{name}:
        addis 2,12,.TOC.-.Lglobal_{name}@ha
        addi 2,2,.TOC.-.Lglobal_{name}@l
        .localentry {name},.-{name}
        nop
        nop
        {body}
        blr
        .size {name},.-{name}
        .section __patchable_function_entries,\"awo\",@progbits,.text.{name}
        .p2align 3
        .quad {name}
"
    )
}
