//! Closures, which are called by their numbers.

use crate::tools::{archive, build, differs, function, kernel};
use kdiff::{Change, Image, Refusal, compare, plan};

/// `unit::work::{closure#N}`, as rustc calls it.
fn closure(number: usize) -> String {
    let place = ["", "s_", "s0_", "s1_"][number];
    format!("_RNCNvCs1234_4unit4work{place}0B3_")
}

const WORK: &str = "_RNvCs1234_4unit4work";

fn source(bodies: &[&str]) -> String {
    let mut text = String::new();
    let mut calls = String::new();
    for (number, body) in bodies.iter().enumerate() {
        text += &function(&closure(number), body);
        calls += &format!("bl {}\nnop\n", closure(number));
    }
    text + &function(WORK, &calls)
}

#[test]
fn the_names_are_those_of_closures() {
    for number in 0..4 {
        let path = format!("{:#}", rustc_demangle::demangle(&closure(number)));
        assert_eq!(path, format!("unit::work::{{closure#{number}}}"));
    }
}

#[test]
fn a_changed_closure_is_that_and_nothing_else() {
    let found = differs(
        &source(&["li 3,1", "li 3,2"]),
        &source(&["li 3,1", "li 3,9"]),
    );
    assert_eq!(found, [(Change::Changed, closure(1))]);
}

#[test]
fn one_in_front_is_new_and_those_behind_it_are_the_same() {
    let found = differs(
        &source(&["li 3,1", "li 3,2"]),
        &source(&["li 3,7", "li 3,1", "li 3,2"]),
    );
    // The function calls one more. The others have other numbers now.
    assert_eq!(
        found,
        [
            (Change::Changed, WORK.to_owned()),
            (Change::New, closure(0))
        ]
    );
}

#[test]
fn one_that_is_gone_takes_no_other_along() {
    let found = differs(&source(&["li 3,1", "li 3,2"]), &source(&["li 3,2"]));
    assert_eq!(
        found,
        [
            (Change::Changed, WORK.to_owned()),
            (Change::Gone, closure(0))
        ]
    );
}

#[test]
fn two_that_both_changed_can_not_be_told_apart() {
    let one = archive(&[&source(&["li 3,1", "li 3,2"])]);
    let other = archive(&[&source(&["li 3,8", "li 3,9"])]);
    let comparison = compare(&build(&one), &build(&other)).unwrap();
    let [unclear] = &comparison.unclear[..] else {
        panic!("{:?}", comparison.unclear)
    };
    assert_eq!(unclear.old, [closure(0), closure(1)]);
}

#[test]
fn one_that_is_left_under_another_number_can_not_be_told_from_a_new_one() {
    let one = archive(&[&source(&["li 3,1", "li 3,2"])]);
    let other = archive(&[&source(&["li 3,2", "li 3,9"])]);
    let comparison = compare(&build(&one), &build(&other)).unwrap();
    let [unclear] = &comparison.unclear[..] else {
        panic!("{:?}", comparison.unclear)
    };
    assert_eq!(unclear.old, [closure(0)]);
    assert_eq!(unclear.path, "unit::work::{closure}");
}

#[test]
fn two_whose_addresses_a_table_has_are_refused() {
    // Local ones: the assembler refers to them by their sections.
    let source = |bodies: &[&str], table| {
        let text = source(bodies);
        let local = (0..2).fold(text, |text, number| {
            text.replace(&format!(".globl {}", closure(number)), "")
        });
        local + table
    };
    let table = format!(
        ".section .data.rel.ro.table,\"aw\",@progbits\n.quad {}\n",
        closure(1)
    );
    for (table, is_refused) in [("", false), (&*table, true)] {
        let old = source(&["li 3,1", "li 3,2"], table);
        let (one, other) = (
            archive(&[&old]),
            archive(&[&source(&["li 3,8", "li 3,9"], table)]),
        );
        let (one, other, kernel) = (build(&one), build(&other), kernel(&old));
        let image = Image::read(&kernel).unwrap();
        let comparison = compare(&one, &other).unwrap();
        let plan = plan(&comparison, &one, &other, &image, 9, &|_| None);
        let found = matches!(&plan.refused[..], [Refusal::Closures { path }] if path == "unit::work::{closure}");
        assert_eq!(found, is_refused, "{:?}", plan.refused);
    }
}
