//! What counts as the same, and what does not.

use crate::tools::{archive, build, changed, differs, function, names};
use kdiff::{Change, CompareError, compare};

/// A constant without a name, as rustc makes it.
fn constant(section: &str, content: &str) -> String {
    format!(".section {section},\"aw\",@progbits\n.p2align 3\n{content}\n")
}

/// Code that takes the address of what is at a label.
fn takes(label: &str) -> String {
    format!("addis 3,2,{label}@toc@ha\naddi 3,3,{label}@toc@l")
}

#[test]
fn the_same_is_the_same() {
    let source = function("f", "li 3,1") + &function("g", "bl f\nnop");
    assert_eq!(differs(&source, &source), []);
    // Though the file is another one.
    let other = source.clone() + ".section .debug_x\n.long 7\n";
    assert_eq!(differs(&source, &other), []);
}

#[test]
fn other_instructions_change_a_function_and_no_other() {
    let source = |number| function("f", &format!("li 3,{number}")) + &function("g", "bl f\nnop");
    changed(&source(1), &source(2), &["f"]);
}

#[test]
fn a_call_of_another_function_is_a_change() {
    let source = |called| {
        function("f", "li 3,1")
            + &function("e", "li 3,1")
            + &function("g", &format!("bl {called}\nnop"))
    };
    changed(&source("f"), &source("e"), &["g"]);
}

#[test]
fn new_and_gone() {
    let one = function("f", "li 3,1");
    let two = one.clone() + &function("g", "li 3,2");
    assert_eq!(differs(&one, &two), [(Change::New, "g".to_owned())]);
    assert_eq!(differs(&two, &one), [(Change::Gone, "g".to_owned())]);
}

#[test]
fn another_local_entry_is_a_change() {
    let without = function("f", "li 3,1").replace(".localentry f,.-f", "");
    changed(&function("f", "li 3,1"), &without, &["f"]);
}

#[test]
fn constants_without_a_name_are_known_by_what_they_hold() {
    let source = |section: &str, value| {
        constant(section, &format!(".Lc: .quad {value}")) + &function("f", &takes(".Lc"))
    };
    let first = source(".data.rel.ro..Lanon.1", 5);
    assert_eq!(differs(&first, &source(".data.rel.ro..Lanon.7", 5)), []);
    changed(&first, &source(".data.rel.ro..Lanon.1", 6), &["f"]);
}

#[test]
fn constants_are_looked_through() {
    let source = |value| {
        constant(".data.rel.ro..Lanon.1", &format!(".Lin: .quad {value}"))
            + &constant(".data.rel.ro..Lanon.2", ".Lout: .quad .Lin, f")
            + &function("f", &takes(".Lout"))
    };
    assert_eq!(differs(&source(1), &source(1)), []);
    changed(&source(1), &source(2), &["f"]);
}

#[test]
fn constants_that_refer_to_each_other_end() {
    let source = |value| {
        constant(".data.rel.ro..Lanon.1", ".Lone: .quad .Ltwo")
            + &constant(
                ".data.rel.ro..Lanon.2",
                &format!(".Ltwo: .quad .Lone, {value}"),
            )
            + &function("f", &takes(".Lone"))
    };
    assert_eq!(differs(&source(1), &source(1)), []);
    changed(&source(1), &source(2), &["f"]);
}

#[test]
fn a_location_is_known_without_line_and_column() {
    let source = |file: &str, line, section: &str| {
        format!(".section .rodata..Lanon.{section},\"a\",@progbits\n.Lfile: .ascii \"{file}\"\n")
            + &constant(
                ".data.rel.ro..Lanon.9",
                &format!(".Lplace: .quad .Lfile, {}\n.long {line}, 5", file.len()),
            )
            + &function("f", &takes(".Lplace"))
    };
    let first = source("src/a.rs", 10, "1");
    assert_eq!(differs(&first, &source("src/a.rs", 77, "2")), []);
    changed(&first, &source("src/b.rs", 10, "1"), &["f"]);
    // Two numbers behind another text mean something.
    changed(
        &source("src/a.rx", 10, "1"),
        &source("src/a.rx", 11, "1"),
        &["f"],
    );
}

#[test]
fn strings_that_the_linker_merges_are_known_by_their_text() {
    let source = |before: &str, text: &str| {
        format!(
            ".section .rodata.str1.1,\"aMS\",@progbits,1\n.Lb: .asciz \"{before}\"\n.Lt: .asciz \"{text}\"\n"
        ) + &function("f", &takes(".Lt"))
    };
    assert_eq!(differs(&source("a", "text"), &source("longer", "text")), []);
    changed(&source("a", "text"), &source("a", "taxt"), &["f"]);
}

#[test]
fn constants_of_one_size_are_known_by_their_value() {
    let source = |before: &str, value| {
        format!(".section .rodata.cst8,\"aM\",@progbits,8\n{before}\n.Lv: .quad {value}\n")
            + &function("f", &takes(".Lv"))
    };
    assert_eq!(differs(&source("", 3), &source(".quad 9", 3)), []);
    changed(&source("", 3), &source("", 4), &["f"]);
}

#[test]
fn slots_are_known_by_what_they_hold() {
    let source = |before: &str, held| {
        format!(".section .toc,\"aw\"\n{before}\n.Ls: .quad {held}\n")
            + &function("g", "li 3,1")
            + &function("h", "li 3,2")
            + &function("f", "addis 3,2,.Ls@toc@ha\nld 3,.Ls@toc@l(3)")
    };
    assert_eq!(differs(&source("", "g"), &source(".quad h", "g")), []);
    changed(&source("", "g"), &source("", "h"), &["f"]);
}

/// A static.
fn of_static(section: &str, content: &str) -> String {
    format!(
        ".section {section}\n.globl S\n.type S,@object\n.p2align 3\nS: {content}\n.size S,.-S\n"
    )
}

#[test]
fn statics_are_compared_by_value_size_and_kind() {
    let one = of_static(".data.S,\"aw\",@progbits", ".quad 1") + &function("f", &takes("S"));
    for other in [
        of_static(".data.S,\"aw\",@progbits", ".quad 2"),
        of_static(".data.S,\"aw\",@progbits", ".quad 1, 1"),
        of_static(".bss.S,\"aw\",@nobits", ".skip 8"),
    ] {
        // What refers to it does so by its name.
        changed(&one, &(other + &function("f", &takes("S"))), &["static S"]);
    }
}

#[test]
fn builds_of_other_packages_are_refused() {
    let one = archive(&[&function("f", "li 3,1")]);
    let mut other = kdiff::Build::default();
    other.add("libunit-2", &one).unwrap();
    let error = compare(&build(&one), &other).unwrap_err();
    let archive = "libunit-1".to_owned();
    assert_eq!(error, CompareError::Archive { archive });
    assert!(
        error
            .to_string()
            .contains("compiler, flags, features or version differ")
    );
}

#[test]
fn the_only_unit_of_an_archive_is_the_same_under_another_name() {
    let old = archive(&[&function("f", "li 3,1")]);
    let mut new = archive(&[&function("f", "li 3,2")]);
    let place = new
        .windows(6)
        .position(|bytes| bytes == b"\0unit\0")
        .unwrap();
    new[place + 1..place + 5].copy_from_slice(b"else");
    let (old, mut new) = (build(&old), build(&new));
    // As if all of it were new.
    let found = names(&compare(&old, &new).unwrap());
    assert_eq!(
        found,
        [
            (Change::New, "f".to_owned()),
            (Change::Gone, "f".to_owned())
        ]
    );
    new.name_units_as(&old);
    let found = names(&compare(&old, &new).unwrap());
    assert_eq!(found, [(Change::Changed, "f".to_owned())]);
}
