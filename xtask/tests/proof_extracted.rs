//! The proof of modules that were extracted from a kernel's objects, in both forms: with a TOC
//! of their own and rewritten returns, and with the kernel's TOC.

mod assembled;

use assembled::assemble;
use klp::{Convention, MOST_FRAME};
use object::elf::SHN_ABS;
use object::{Object, ObjectSection, ObjectSymbol};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use xtask::proof::Rule::{self, *};
use xtask::proof::{Asked, Outcome, Violation, never_return, prove_functions_for};
use xtask::tool;

/// Functions of a kernel's, and where they are in it. The second never returns.
const KERNELS: [(&str, u64); 2] = [
    ("kernel_function", 0x45_6780),
    ("kernel_panics", 0x4567_8900),
];

const EPILOGUE: Asked = Asked::Convention(Convention::Epilogue);

/// A source's object, with symbols of the kernel's at their addresses, which gas would make
/// numbers.
fn extracted(source: &str) -> Vec<u8> {
    /// Bytes of an entry of the symbol table, and where its section and value are.
    const ENTRY: usize = 24;
    const SECTION: usize = 6;
    const VALUE: usize = 8;
    let object = assemble(source);
    let mut fixed = object.clone();
    let file = object::File::parse(&*object).unwrap();
    let table = file.section_by_name(".symtab").unwrap();
    let table = table.file_range().unwrap().0 as usize;
    for (name, address) in KERNELS {
        if let Some(symbol) = file.symbols().find(|symbol| symbol.name() == Ok(name)) {
            let entry = table + ENTRY * symbol.index().0;
            fixed[entry + SECTION..][..2].copy_from_slice(&SHN_ABS.0.to_le_bytes());
            fixed[entry + VALUE..][..8].copy_from_slice(&address.to_le_bytes());
        }
    }
    fixed
}

/// What a function breaks.
fn violations(object: &[u8], function: &str, asked: Asked) -> Vec<Violation> {
    let never = BTreeSet::from([KERNELS[1].0.to_owned()]);
    match prove_functions_for(object, &[function], asked, &never).unwrap() {
        Outcome::Violated(violations) => violations,
        outcome => {
            assert_eq!(outcome, Outcome::Proved(1));
            Vec::new()
        }
    }
}

/// Checks all functions of a source: that some keep the rules, and what others break with
/// which instructions.
fn check(source: &str, asked: Asked, good: &[&str], bad: &[(&str, &[(Rule, &str)])]) {
    let object = extracted(source);
    for name in good {
        assert_eq!(violations(&object, name, asked), [], "{name}");
    }
    for (name, expected) in bad {
        let found = violations(&object, name, asked);
        let rules: Vec<(Rule, &str)> = found
            .iter()
            .map(|v| (v.rule, v.instruction.split(' ').next().unwrap()))
            .collect();
        assert_eq!(rules, *expected, "{name}: {found:#?}");
    }
    let file = object::File::parse(&*object).unwrap();
    let functions = file
        .symbols()
        .filter(|one| one.size() > 0 && !one.name().unwrap().starts_with("stub_"));
    assert_eq!(
        functions.count(),
        good.len() + bad.len(),
        "not all are tried"
    );
}

#[test]
fn a_return_that_was_rewritten_restores_r2_behind_the_frame() {
    let good = [
        "good_leaf",
        "good_conditional",
        "good_frame",
        "good_both",
        "good_privileged",
        "good_order",
    ];
    let bad: [(&str, &[(Rule, &str)]); 26] = [
        (
            "lr_changed",
            &[
                (BadRestore, "lwa"),
                (BadRestore, "add"),
                (NoFrame, "blr"),
                (LrNotSaved, "blr"),
                (WrongLr, "blr"),
            ],
        ),
        (
            "lr_of_a_call",
            &[(BadRestore, "lwa"), (BadRestore, "add"), (WrongLr, "blr")],
        ),
        (
            "lr_changed_within",
            &[(BadRestore, "add"), (WrongLr, "blr")],
        ),
        ("lr_changed_behind", &[(WrongLr, "blr")]),
        (
            "frame_open",
            &[
                (BadRestore, "lwa"),
                (BadRestore, "add"),
                (Unbalanced, "blr"),
            ],
        ),
        (
            "frame_open_on_one_way",
            &[
                (BadRestore, "lwa"),
                (BadRestore, "add"),
                (NoFrame, "blr"),
                (LrNotSaved, "blr"),
                (Unbalanced, "blr"),
            ],
        ),
        ("frame_opened_within", &[(BadRestore, "add")]),
        (
            "closed_too_far",
            &[
                (StackPointer, "addi"),
                (BadRestore, "lwa"),
                (BadRestore, "add"),
                (NoFrame, "blr"),
                (LrNotSaved, "blr"),
                (Unbalanced, "blr"),
            ],
        ),
        ("writes_word", &[(WritesReserved, "stw")]),
        ("writes_word_by_index", &[(WritesReserved, "stwx")]),
        ("writes_word_behind", &[(WritesReserved, "stw")]),
        ("r0_clobbered", &[(BadRestore, "add")]),
        (
            "r0_of_before_a_call",
            &[(BadRestore, "lwa"), (BadRestore, "add")],
        ),
        (
            "word_without_sign",
            &[
                (BadRestore, "lwz"),
                (BadRestore, "add"),
                (NoFrame, "blr"),
                (LrNotSaved, "blr"),
                (NotRestored, "blr"),
            ],
        ),
        ("another_word", &[(BadRestore, "lwa"), (BadRestore, "add")]),
        ("twice", &[(RestoredTwice, "lwa")]),
        ("open_and_closed", &[(RestoredTwice, "lwa")]),
        (
            "half",
            &[(NoFrame, "blr"), (LrNotSaved, "blr"), (NotRestored, "blr")],
        ),
        (
            "misses_one_way",
            &[
                (NoFrame, "beqlr"),
                (LrNotSaved, "beqlr"),
                (NotRestored, "beqlr"),
            ],
        ),
        (
            "misses_all_ways",
            &[(NoFrame, "blr"), (LrNotSaved, "blr"), (NotRestored, "blr")],
        ),
        (
            "calls_behind",
            &[(CallAfterRestore, "bl"), (NoFrame, "bl"), (WrongLr, "blr")],
        ),
        ("tail_calls_behind", &[(TailCall, "b")]),
        ("reads_r2_behind", &[(R2AfterRestore, "addi")]),
        (
            "writes_r2_within",
            &[(R2AfterRestore, "li"), (BadRestore, "add")],
        ),
        ("runs_into_zeros", &[(Unknown, ".long")]),
        ("without_stub", &[(NoStub, "bl"), (NoStub, "bl")]),
    ];
    check("closed.s", EPILOGUE, &good, &bad);
}

/// If the kernel's function returns, what comes behind its call is a way too.
#[test]
fn a_call_through_a_stub_returns_unless_the_kernels_function_is_known_not_to() {
    let object = extracted("closed.s");
    let nothing = BTreeSet::new();
    let outcome = prove_functions_for(&object, &["good_frame"], EPILOGUE, &nothing).unwrap();
    let Outcome::Violated(found) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(found[0].rule, Unknown, "{found:#?}");
}

#[test]
fn code_with_the_kernels_toc_never_changes_r2() {
    let good = [
        "good_leaf",
        "good_calls",
        "good_pointer",
        "good_privileged",
        "good_filler",
    ];
    let bad: [(&str, &[(Rule, &str)]); 13] = [
        ("writes", &[(ChangesToc, "li")]),
        ("fills_in_a_number", &[(ChangesToc, "ori")]),
        ("reloads_without_a_call", &[(ChangesToc, "ld")]),
        ("reloads_what_was_not_saved", &[(ChangesToc, "ld")]),
        ("reloads_from_elsewhere", &[(ChangesToc, "ld")]),
        ("unreachable_write", &[(ChangesToc, "mr")]),
        (
            "another_toc",
            &[(ChangesToc, "addis"), (ChangesToc, "addi")],
        ),
        (
            "another_register",
            &[(ChangesToc, "addis"), (ChangesToc, "addi")],
        ),
        (
            "without_relocation",
            &[(ChangesToc, "addis"), (ChangesToc, "addi")],
        ),
        ("a_second_time", &[(ChangesToc, "addis")]),
        (
            "privileged_write",
            &[
                (ChangesToc, "mfsprg"),
                (ChangesToc, ".long"),
                (ChangesToc, "lmw"),
                (ChangesToc, "lswi"),
            ],
        ),
        (
            "large_frame",
            &[(
                FrameTooLarge {
                    bytes: MOST_FRAME as u64 + 16,
                },
                "stdu",
            )],
        ),
        ("calls_itself", &[(CallsReplacement, "bl")]),
    ];
    check("toc.s", Asked::KernelsToc, &good, &bad);
}

/// Of a linked file, what it calls is known by addresses alone.
#[test]
fn what_never_returns_is_found_in_a_linked_kernel() {
    let object = assemble("kernel.s");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (relocatable, linked) = (folder.join("kernel.o"), folder.join("kernel.elf"));
    std::fs::write(&relocatable, object).unwrap();
    let mut ld = Command::new(tool::cross("ld"));
    ld.args(["-Ttext=0x400000", "--entry=returns", "-o"]);
    assert!(
        tool::status(ld.arg(&linked).arg(&relocatable))
            .unwrap()
            .success()
    );
    let found = never_return(&tool::read_file(&linked).unwrap()).unwrap();
    assert_eq!(
        Vec::from_iter(found),
        ["panics", "panics_by_a_tail_call", "spins", "traps"]
    );
}
