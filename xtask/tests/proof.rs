//! The proof of the convention `epilogue`, on functions written by hand.

mod assembled;

use assembled::assemble;
use klp::{Convention, MOST_FRAME};
use std::collections::HashSet;
use std::mem::discriminant;
use std::path::Path;
use xtask::proof::Rule::{self, *};
use xtask::proof::{CONTROLS, Outcome, Violation, is_failed_control, prove_functions};

/// What a function breaks of the convention `epilogue`.
fn violations(object: &[u8], function: &str) -> Vec<Violation> {
    match prove_functions(object, &[function], Convention::Epilogue).unwrap() {
        Outcome::Violated(violations) => violations,
        _ => Vec::new(),
    }
}

const GOOD: [&str; 13] = [
    "plain",
    "calls",
    "several_exits",
    "conditional_return",
    "loops",
    "large_frame",
    "saves",
    "mixed_restore",
    "indirect",
    "frame_pointer",
    "panics",
    "panics_last",
    "traps",
];

#[test]
fn what_keeps_the_convention_is_proved() {
    let object = assemble("good.s");
    for name in GOOD {
        assert_eq!(violations(&object, name), [], "{name}");
    }
    assert_eq!(
        prove_functions(&object, &GOOD, Convention::Epilogue).unwrap(),
        Outcome::Proved(GOOD.len())
    );
}

/// The most that a frame may have.
const MOST: u64 = MOST_FRAME as u64;

/// Each function of bad.s, with the rules that it breaks and the mnemonics of
/// the instructions that break them.
const BAD: [(&str, &[(Rule, &str)]); 71] = [
    (
        // LR itself would do, and what was saved of it would with a frame.
        "no_frame",
        &[(BadRestore, "add")],
    ),
    (
        "no_frame_on_one_way",
        &[
            (NoFrame, "beqlr"),
            (LrNotSaved, "beqlr"),
            (NotRestored, "beqlr"),
        ],
    ),
    ("call_without_frame", &[(NoFrame, "bl")]),
    ("lr_not_saved", &[(BadRestore, "add"), (LrNotSaved, "blr")]),
    (
        "lr_saved_on_one_way",
        &[(BadRestore, "add"), (LrNotSaved, "blr"), (WrongLr, "blr")],
    ),
    (
        "lr_saved_on_the_other_way",
        &[(BadRestore, "add"), (LrNotSaved, "blr"), (WrongLr, "blr")],
    ),
    (
        "lr_saved_elsewhere",
        &[(BadRestore, "add"), (LrNotSaved, "blr")],
    ),
    (
        "wrong_lr_saved",
        &[
            (WritesCallersFrame, "std"),
            (BadRestore, "add"),
            (LrNotSaved, "blr"),
        ],
    ),
    ("no_restore", &[(NotRestored, "blr")]),
    ("no_restore_on_one_way", &[(NotRestored, "blr")]),
    ("half_a_restore", &[(NotRestored, "blr")]),
    ("restores_twice", &[(RestoredTwice, "lwa")]),
    ("restores_in_a_loop", &[(RestoredTwice, "lwa")]),
    ("as_posted", &[(ZeroBase, "lwa"), (BadRestore, "add")]),
    ("base_clobbered", &[(BadRestore, "add")]),
    (
        "lr_clobbered",
        &[(CallAfterRestore, "bl"), (BadRestore, "add")],
    ),
    ("wrong_word", &[(BadRestore, "lwa"), (BadRestore, "add")]),
    (
        "without_sign",
        &[
            (BadRestore, "lwz"),
            (BadRestore, "add"),
            (NotRestored, "blr"),
        ],
    ),
    ("frame_closed_before", &[(BadRestore, "add")]),
    ("frame_closed_within", &[(BadRestore, "add")]),
    ("reads_r2", &[(R2AfterRestore, "addi")]),
    ("writes_r2", &[(R2AfterRestore, "mr")]),
    ("reloads_r2", &[(R2AfterRestore, "ld")]),
    ("stores_r2", &[(R2AfterRestore, "std")]),
    ("reads_half_of_r2", &[(R2AfterRestore, "mr")]),
    ("replaces_r2", &[(BadRestore, "mr")]),
    ("calls_after", &[(CallAfterRestore, "bl")]),
    ("recurses", &[(CallsReplacement, "bl")]),
    (
        "calls_itself_after",
        &[(CallAfterRestore, "bl"), (CallsReplacement, "bl")],
    ),
    ("calls_pointer_after", &[(CallAfterRestore, "bctrl")]),
    ("calls_lr_after", &[(CallAfterRestore, "blrl")]),
    ("calls_conditionally_after", &[(CallAfterRestore, "beql")]),
    ("tail_call", &[(TailCall, "b")]),
    ("tail_call_inside_the_module", &[(TailCall, "beq")]),
    ("tail_call_by_pointer", &[(ComputedJump, "bctr")]),
    ("jump_table", &[(ComputedJump, "beqctr")]),
    ("absolute", &[(TailCall, "ba")]),
    ("writes_reserved", &[(WritesReserved, "stw")]),
    ("writes_reserved_before", &[(WritesReserved, "stw")]),
    ("saves_cr_as_a_doubleword", &[(WritesReserved, "std")]),
    ("writes_last_byte_of_reserved", &[(WritesReserved, "stb")]),
    ("writes_reserved_through_a_copy", &[(WritesReserved, "stw")]),
    ("writes_reserved_by_index", &[(WritesReserved, "stwx")]),
    ("writes_reserved_somewhere", &[(WritesReserved, "stw")]),
    ("writes_reserved_with_update", &[(WritesReserved, "stwu")]),
    (
        "writes_reserved_on_condition",
        &[(WritesReserved, "stwcx.")],
    ),
    ("writes_reserved_as_a_float", &[(WritesReserved, "stfs")]),
    ("zeroes_a_line_of_the_stack", &[(WritesReserved, "dcbz")]),
    (
        "writes_saved_lr",
        &[
            (WritesCallersFrame, "std"),
            (BadRestore, "add"),
            (LrNotSaved, "blr"),
            (WrongLr, "blr"),
        ],
    ),
    ("writes_callers_chain", &[(WritesCallersFrame, "std")]),
    ("writes_back_chain", &[(WritesBackChain, "std")]),
    (
        "opens_by_an_unknown_size",
        &[
            (WritesReserved, "stdux"),
            (StackPointer, "stdux"),
            (StackPointer, "ld"),
            (NoFrame, "blr"),
            (NotRestored, "blr"),
            (Unbalanced, "blr"),
            (UnknownFrame, "stdux"),
        ],
    ),
    (
        "second_frame",
        &[(StackPointer, "stdu"), (StackPointer, "addi")],
    ),
    (
        "moves_r1",
        &[
            (StackPointer, "addi"),
            (StackPointer, "subi"),
            (UnknownFrame, "subi"),
        ],
    ),
    (
        "frame_too_small",
        &[
            (StackPointer, "stdu"),
            (BadRestore, "lwa"),
            (BadRestore, "add"),
            (NoFrame, "blr"),
        ],
    ),
    ("frame_left_open", &[(Unbalanced, "blr")]),
    ("frame_left_open_on_one_way", &[(Unbalanced, "blr")]),
    ("lr_not_reloaded", &[(WrongLr, "blr")]),
    ("lr_of_something_else", &[(WrongLr, "blr")]),
    ("runs_off", &[(RunsOff, "beqlr")]),
    ("runs_off_behind_a_call", &[(RunsOff, "nop")]),
    (
        "unknown",
        &[
            (Unknown, ".long"),
            (Unknown, ".long"),
            (Unknown, ".long"),
            (Unknown, "sc"),
        ],
    ),
    ("calls_into_itself", &[(Unknown, "bcl")]),
    ("runs_off_behind_one_that_returns", &[(RunsOff, "bl")]),
    ("runs_off_behind_one_that_runs_off", &[(RunsOff, "bl")]),
    ("runs_off_behind_a_tail_call", &[(RunsOff, "bl")]),
    ("writes_reserved_at_its_end", &[(WritesReserved, "stdx")]),
    (
        "frame_too_large",
        &[(FrameTooLarge { bytes: MOST + 16 }, "stdu")],
    ),
    (
        "frame_far_too_large",
        &[(FrameTooLarge { bytes: 0x8020 }, "stdux")],
    ),
    (
        "two_frames_too_large",
        &[(FrameTooLarge { bytes: MOST + 16 }, "stdu")],
    ),
    (
        "frame_by_subtraction",
        &[
            (StackPointer, "subf"),
            (StackPointer, "ld"),
            (NoFrame, "blr"),
            (NotRestored, "blr"),
            (Unbalanced, "blr"),
            (UnknownFrame, "subf"),
        ],
    ),
];

#[test]
fn whatever_breaks_a_rule_is_found_where_it_does() {
    let object = assemble("bad.s");
    for (name, expected) in BAD {
        let found = violations(&object, name);
        let rules: Vec<(Rule, &str)> = found
            .iter()
            .map(|v| (v.rule, v.instruction.split(' ').next().unwrap()))
            .collect();
        assert_eq!(rules, expected, "{name}: {found:#?}");
    }
}

#[test]
fn every_rule_and_every_function_has_a_case() {
    let tried: HashSet<_> = BAD
        .iter()
        .flat_map(|(_, rules)| *rules)
        .map(|r| discriminant(&r.0))
        .collect();
    let all: HashSet<_> = Rule::ALL.iter().map(discriminant).collect();
    // These are about another convention, and about extracted modules.
    let others = [NotAsPosted, NoStub, ChangesToc];
    let tried = &tried | &HashSet::from(others.map(|rule| discriminant(&rule)));
    assert_eq!(tried, all);
    assert_eq!(all.len(), Rule::ALL.len());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proof");
    let source = std::fs::read_to_string(folder.join("bad.s")).unwrap();
    let names: Vec<&str> = source
        .lines()
        .filter_map(|l| l.strip_prefix("function "))
        .collect();
    assert_eq!(names, BAD.map(|(name, _)| name));
}

/// No function may call a replacement directly, neither at its start nor at its local entry.
#[test]
fn direct_calls_of_another_replacement_are_found() {
    let object = assemble("direct.s");
    for (caller, finds) in [
        ("at_its_start", true),
        ("at_its_local_entry", true),
        ("behind_both", false),
    ] {
        let outcome = prove_functions(&object, &["replaced", caller], Convention::Epilogue);
        let found = match outcome.unwrap() {
            Outcome::Violated(found) => found,
            _ => Vec::new(),
        };
        let places: Vec<_> = found.iter().map(|v| (&*v.function, v.rule)).collect();
        let expected = finds.then_some((caller, CallsReplacement));
        assert_eq!(places, Vec::from_iter(expected), "{caller}: {found:#?}");
    }
}

/// A control may break the rules that it is here for, and no other beside them.
#[test]
fn a_control_that_breaks_another_rule_too_is_no_control() {
    let object = assemble("bad.s");
    for (function, is_meant) in [
        ("tail_call_by_pointer", true),
        ("writes_callers_chain", true),
        ("writes_saved_lr", false), // WritesCallersFrame, and others
        ("no_restore", false),
    ] {
        let outcome = prove_functions(&object, &[function], Convention::Epilogue).unwrap();
        let found = is_failed_control(CONTROLS[0], &outcome);
        assert_eq!(found, is_meant, "{function}: {outcome:?}");
        assert!(!is_failed_control("another", &outcome), "{function}");
    }
}

/// Every instruction of a function that does nothing else than it must.
#[test]
fn nothing_of_a_function_can_be_left_out() {
    let object = assemble("good.s");
    let nop = 0x6000_0000u32.to_le_bytes();
    // `ld r0,16(r1)` behind the restore, which has left the same in r0.
    let again = 0xe801_0010u32.to_le_bytes();
    // Behind its two nops: all but the call, and the nop behind that.
    let words = words_of(&object, "calls").skip(4);
    let mut tried = 0;
    for place in words {
        let word: [u8; 4] = object[place..place + 4].try_into().unwrap();
        if word == nop || word == again || u32::from_le_bytes(word) >> 26 == 18 {
            continue;
        }
        let mut damaged = object.clone();
        damaged[place..place + 4].copy_from_slice(&nop);
        assert_ne!(
            violations(&damaged, "calls"),
            [],
            "{:#x}",
            u32::from_le_bytes(word)
        );
        tried += 1;
    }
    assert_eq!(tried, 10);
}

/// Where the words of a function are in the file.
fn words_of(object: &[u8], function: &str) -> impl Iterator<Item = usize> + use<> {
    use object::{Object, ObjectSection, ObjectSymbol};
    let file = object::File::parse(object).unwrap();
    let symbol = file.symbol_by_name(function).unwrap();
    let section = file
        .section_by_index(symbol.section_index().unwrap())
        .unwrap();
    let start = (section.file_range().unwrap().0 + symbol.address()) as usize;
    (start..start + symbol.size() as usize).step_by(4)
}

#[test]
fn a_violation_names_function_address_and_instruction() {
    let found = violations(&assemble("bad.s"), "calls_after");
    let text = found[0].to_string();
    let Violation {
        address, offset, ..
    } = found[0];
    assert_eq!(offset, 36);
    assert_eq!(
        text,
        format!(
            "calls_after+0x24 (.text+{address:#x}): `bl outside`: calls after the restore has begun"
        )
    );
}

#[test]
fn a_frame_that_is_too_large_is_named_with_its_size() {
    let found = violations(&assemble("bad.s"), "frame_too_large");
    assert_eq!(found.len(), 1, "{found:#?}");
    let text = found[0].to_string();
    assert!(text.starts_with("frame_too_large+0xc "), "{text}");
    let end = format!(
        "opens a frame of {} bytes, and a module's function may have {MOST}",
        MOST + 16
    );
    assert!(text.ends_with(&end), "{text}");
}

#[test]
fn what_is_no_module_is_an_error() {
    let error = |bytes: &[u8]| format!("{:#}", xtask::proof::prove(bytes).unwrap_err());
    assert!(error(b"").contains("not a 64-bit ELF file"));
    assert!(error(&assemble("good.s")).contains("no section .klp.info"));
    let error = prove_functions(&assemble("good.s"), &["missing"], Convention::Plain).unwrap_err();
    assert_eq!(error.to_string(), "there is no function missing");
}
