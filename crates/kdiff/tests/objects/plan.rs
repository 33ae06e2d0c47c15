//! What is refused, and what is told.

use crate::tools::{archive, build, function, kernel};
use kdiff::{Image, Note, Plan, Refusal, compare, plan, replaceable};

fn planned(old: &str, new: &str) -> Plan {
    let (before, after, kernel) = (archive(&[old]), archive(&[new]), kernel(old));
    let image = Image::read(&kernel).unwrap();
    let (before, after) = (build(&before), build(&after));
    let comparison = compare(&before, &after).unwrap();
    let reason = |path: &str| (path == "traced").then_some("is the tracer");
    plan(&comparison, &before, &after, &image, 3, &reason)
}

fn of_static(name: &str, section: &str, content: &str) -> String {
    format!(
        ".section {section}\n.type {name},@object\n.p2align 3\n{name}: {content}\n.size {name},.-{name}\n"
    )
}

const DATA: &str = ".data.S,\"aw\",@progbits";

#[test]
fn a_changed_function_is_a_root() {
    let plan = planned(&function("f", "li 3,1"), &function("f", "li 3,2"));
    assert_eq!(
        (plan.roots.len(), &plan.refused[..], &plan.notes[..]),
        (1, &[][..], &[][..])
    );
}

#[test]
fn nothing_is_no_reason_to_refuse() {
    let plan = planned(&function("f", "li 3,1"), &function("f", "li 3,1"));
    assert!(plan.roots.is_empty() && plan.refused.is_empty());
}

#[test]
fn without_a_site_nothing_can_be_diverted() {
    let without = |number| {
        let text = function("f", &format!("li 3,{number}"));
        text[..text.find(".section __patch").unwrap()].to_owned()
    };
    let plan = planned(&without(1), &without(2));
    let [Refusal::NoSite { why: None, .. }] = &plan.refused[..] else {
        panic!("{:?}", plan.refused)
    };
    let plan = planned(&function("traced", "li 3,1"), &function("traced", "li 3,2"));
    let why = plan.refused[0].to_string();
    assert_eq!(
        why,
        "traced has changed and is not to be replaced: it is the tracer. Boot the new kernel"
    );
}

#[test]
fn what_can_be_replaced_is_found_once_and_the_smallest_first() {
    let bare = function("bare", "li 3,1");
    let bare = &bare[..bare.find(".section __patch").unwrap()];
    let gone = function("gone", "li 3,1");
    let linked = function("long", "li 3,1\nli 4,1") + bare + &function("short", "li 3,1");
    let (archive, kernel) = (archive(&[&(linked.clone() + &gone)]), kernel(&linked));
    let mut build = build(&archive);
    build.add("libunit-2", &archive).unwrap();
    let found = replaceable(&build, &Image::read(&kernel).unwrap());
    let found: Vec<_> = found
        .into_iter()
        .map(|id| (id.unit, build.name(id), build.bytes(id).len()))
        .collect();
    // Four words in front of the body, and a return.
    assert_eq!(found, [(0, "short", 24), (0, "long", 28)]);
}

#[test]
fn statics_are_refused_by_what_has_changed() {
    for (section, old, new, expected) in [
        (DATA, ".quad 1", ".quad 2", "begins with another value"),
        (
            DATA,
            ".quad 1",
            ".quad 1, 2",
            "has 16 bytes now, and the running kernel's has 8",
        ),
        (
            ".rodata.S,\"a\",@progbits",
            ".quad 1",
            ".quad 2",
            "is a table of the running kernel",
        ),
    ] {
        let plan = planned(&of_static("S", section, old), &of_static("S", section, new));
        assert_eq!(plan.refused.len(), 1);
        let why = plan.refused[0].to_string();
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_static_in_another_form_is_refused() {
    let whole = of_static("S", DATA, ".quad 1") + &function("f", "li 3,1");
    let shrunk = of_static("S.0", DATA, ".quad 1") + &function("f", "li 3,2");
    for (old, new) in [(&whole, &shrunk), (&shrunk, &whole)] {
        let plan = planned(old, new);
        assert!(
            matches!(plan.refused[..], [Refusal::Form { .. }]),
            "{:?}",
            plan.refused
        );
    }
    // One that was not there is none.
    let plan = planned(&function("f", "li 3,1"), &shrunk);
    assert_eq!(plan.refused, []);
}

#[test]
fn rows_of_collected_tables_are_refused() {
    let row = of_static("R", ".exports,\"a\",@progbits", ".quad 1");
    let plan = planned(&function("f", "li 3,1"), &(function("f", "li 3,1") + &row));
    assert!(
        matches!(&plan.refused[..], [Refusal::Row { .. }]),
        "{:?}",
        plan.refused
    );
}

#[test]
fn too_much_is_refused_with_the_number() {
    let many = |number| {
        ["a", "b", "c", "d"]
            .map(|name| function(name, &format!("li 3,{number}")))
            .concat()
    };
    let plan = planned(&many(1), &many(2));
    assert_eq!(plan.refused, [Refusal::TooMuch { found: 4, most: 3 }]);
}

#[test]
fn what_the_kernel_does_not_have_is_told() {
    let (old, new) = (function("f", "li 3,1"), function("f", "li 3,2"));
    let (before, after, kernel) = (
        archive(&[&old]),
        archive(&[&new]),
        kernel(&function("g", "")),
    );
    let image = Image::read(&kernel).unwrap();
    let (before, after) = (build(&before), build(&after));
    let comparison = compare(&before, &after).unwrap();
    let plan = plan(&comparison, &before, &after, &image, 3, &|_| None);
    assert_eq!(plan.refused, [Refusal::ReachesNothing]);
    assert!(matches!(plan.notes[..], [Note::NotThere { .. }]));
}

#[test]
fn functions_that_never_return_are_told() {
    let endless =
        |number| function("f", &format!("li 3,{number}\n1: b 1b")).replace("\n        blr", "");
    let plan = planned(&endless(1), &endless(2));
    assert!(
        matches!(plan.notes[..], [Note::NeverReturns { .. }]),
        "{:?}",
        plan.notes
    );
}

#[test]
fn a_stored_closure_among_unclear_ones_is_refused() {
    let names = [
        "_RNCNvCs1234_4unit4work0B3_",
        "_RNCNvCs1234_4unit4works_0B3_",
    ];
    let source = |one, other, kept: &str| {
        function(names[0], &format!("li 3,{one}"))
            + &function(names[1], &format!("li 3,{other}"))
            + kept
    };
    let kept = format!(".section .data.rel.ro.k,\"aw\"\n.quad {}\n", names[1]);
    let plan = planned(&source(1, 2, &kept), &source(8, 9, &kept));
    assert!(
        matches!(plan.refused[..], [Refusal::Closures { .. }]),
        "{:?}",
        plan.refused
    );
    assert_eq!(planned(&source(1, 2, ""), &source(8, 9, "")).refused, []);
}

/// A function of gcc's, which calls this at its local entry.
fn of_gcc(called: &str, number: u32) -> String {
    format!(
        ".section .text.c,\"ax\"\n.type c,@function\nc: mflr 0\nbl {called}\nli 3,{number}\nblr\n.size c,.-c\n\
         .section .text._mcount,\"ax\"\n.globl _mcount,other\n.type _mcount,@function\n_mcount: other: blr\n\
         .size _mcount,4\n"
    )
}

#[test]
fn gccs_calls_are_sites() {
    let plan = planned(&of_gcc("_mcount", 1), &of_gcc("_mcount", 2));
    assert_eq!((plan.roots.len(), &plan.refused[..]), (1, &[][..]));
    let plan = planned(
        &(of_gcc("x", 1) + ".text\nx: blr\n"),
        &(of_gcc("x", 2) + ".text\nx: blr\n"),
    );
    assert!(
        matches!(plan.refused[..], [Refusal::NoSite { .. }]),
        "{:?}",
        plan.refused
    );
}
