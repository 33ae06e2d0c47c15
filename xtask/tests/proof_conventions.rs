//! The proof of the conventions that are not the usual one, on functions written by
//! hand.

mod assembled;

use assembled::assemble;
use klp::Convention;
use xtask::proof::Rule::{self, *};
use xtask::proof::{Outcome, prove_functions};

/// What a function breaks of a convention: rules, and the mnemonics there.
fn broken(object: &[u8], name: &str, convention: Convention) -> Vec<(Rule, String)> {
    let Outcome::Violated(found) = prove_functions(object, &[name], convention).unwrap() else {
        return Vec::new();
    };
    let mnemonic = |text: &str| text.split(' ').next().unwrap().to_owned();
    found
        .iter()
        .map(|v| (v.rule, mnemonic(&v.instruction)))
        .collect()
}

fn check(object: &[u8], convention: Convention, cases: &[(&str, &[(Rule, &str)])]) {
    for (name, expected) in cases {
        let found = broken(object, name, convention);
        let found: Vec<_> = found
            .iter()
            .map(|(rule, text)| (*rule, text.as_str()))
            .collect();
        assert_eq!(found, *expected, "{name}");
    }
}

const PCREL: [&str; 6] = [
    "uses_r2",
    "calls",
    "keeps_r2",
    "loops",
    "newer",
    "prefixed_restore",
];

#[test]
fn without_a_toc_r2_is_a_volatile_register_up_to_the_restore() {
    let object = assemble("pcrel.s");
    for name in PCREL {
        assert_eq!(broken(&object, name, Convention::Pcrel), [], "{name}");
    }
    let outcome = prove_functions(&object, &PCREL, Convention::Pcrel).unwrap();
    assert_eq!(outcome, Outcome::Proved(PCREL.len()));
    // With a TOC it is not.
    for name in ["uses_r2", "calls", "keeps_r2"] {
        assert_ne!(broken(&object, name, Convention::Epilogue), [], "{name}");
    }
    for name in ["loops", "newer", "prefixed_restore"] {
        assert_eq!(broken(&object, name, Convention::Epilogue), [], "{name}");
    }
}

#[test]
fn all_other_rules_hold_for_prefixed_instructions_too() {
    // A prefix is shown as data.
    let cases: &[(&str, &[(Rule, &str)])] = &[
        ("no_restore", &[(NotRestored, "blr")]),
        ("another_word", &[(NotRestored, "blr")]),
        ("uses_r2_after", &[(R2AfterRestore, ".long")]),
        ("reads_r2_after", &[(R2AfterRestore, ".long")]),
        (
            "loads_r2_within",
            &[(R2AfterRestore, "lwa"), (BadRestore, "add")],
        ),
        ("writes_reserved", &[(WritesReserved, ".long")]),
        ("writes_back_chain", &[(WritesBackChain, ".long")]),
        (
            "opens_by_prefix",
            &[
                (StackPointer, ".long"),
                (StackPointer, ".long"),
                (UnknownFrame, ".long"),
            ],
        ),
        ("unknown", &[(Unknown, ".long"), (Unknown, "lfdu")]),
        ("runs_off", &[(RunsOff, ".long")]),
        ("tail_call", &[(TailCall, "b")]),
    ];
    let object = assemble("pcrel.s");
    check(&object, Convention::Pcrel, cases);
    let found = broken(&object, "newer_after", Convention::Pcrel);
    assert_eq!(found.len(), 8, "{found:?}");
    assert!(
        found.iter().all(|(rule, _)| *rule == R2AfterRestore),
        "{found:?}"
    );
}

#[test]
fn what_the_mail_posted_breaks_what_it_must() {
    let object = assemble("posted.s");
    let names = ["posted_once", "posted_twice"];
    let outcome = prove_functions(&object, &names, Convention::AsPosted).unwrap();
    assert_eq!(outcome, Outcome::FailsAsPosted(2));
    // Under the convention that it was to be, that is a violation.
    let pair = [(ZeroBase, "lwa".to_owned()), (BadRestore, "add".to_owned())];
    let found = broken(&object, "posted_once", Convention::Epilogue);
    assert_eq!(found, pair);
    let found = broken(&object, "posted_twice", Convention::Epilogue);
    assert_eq!(found, [pair.clone(), pair].concat());
}

#[test]
fn whatever_breaks_more_or_less_than_that_is_found() {
    let cases: &[(&str, &[(Rule, &str)])] = &[
        ("corrected", &[(NotAsPosted, "nop")]),
        ("half", &[(NotRestored, "blr"), (NotAsPosted, "nop")]),
        ("with_another", &[(R2AfterRestore, "addi")]),
        (
            "another_address",
            &[
                (BadRestore, "lwa"),
                (BadRestore, "add"),
                (NotAsPosted, "nop"),
            ],
        ),
    ];
    check(&assemble("posted.s"), Convention::AsPosted, cases);
}
