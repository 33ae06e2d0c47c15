//! What is in no function and no static.

use crate::tools::{archive, build, differs, function, kernel};
use kdiff::{Image, Refusal, compare, plan};

/// What stands against a patch.
fn refused(old: &[&str], new: &[&str]) -> Vec<String> {
    let (before, after, kernel) = (archive(old), archive(new), kernel(old[0]));
    let image = Image::read(&kernel).unwrap();
    let (before, after) = (build(&before), build(&after));
    let comparison = compare(&before, &after).unwrap();
    let plan = plan(&comparison, &before, &after, &image, 3, &|_| None);
    assert_eq!(comparison.is_empty(), plan.refused.is_empty());
    plan.refused.iter().map(Refusal::to_string).collect()
}

/// Checks that one thing is refused, which is called so.
fn refused_one(old: &str, new: &str, called: &str) {
    assert_eq!(
        refused(&[old], &[new]),
        [format!(
            "{called} has changed outside of functions and statics, and only a function can be replaced. \
             Boot the new kernel"
        )],
        "{old}\n---\n{new}"
    );
}

fn same(old: &str, new: &str) {
    assert_eq!(refused(&[old], &[new]), <[&str; 0]>::default());
}

const IN_TEXT: &str = ", in .text of unit,";

#[test]
fn code_in_no_function_is_called_by_its_label() {
    let piece = |body: &str| {
        format!(".text\n.globl enter, leave\nenter: li 3,1\nblr\nleave: {body}\nblr\n")
            + &function("f", "li 3,1")
    };
    same(&piece("bl f"), &piece("bl f"));
    // Bytes, what they refer to, how many there are.
    for other in ["bl g", "li 3,2", "bl f\nnop"] {
        refused_one(&piece("bl f"), &piece(other), &format!("leave{IN_TEXT}"));
    }
}

#[test]
fn without_a_label_it_is_called_by_its_section() {
    let piece = |number| format!(".section .head.text,\"ax\"\nli 3,{number}\nblr\n");
    refused_one(&piece(1), &piece(2), ".head.text of unit");
    refused_one(
        &function("f", ""),
        &(function("f", "") + &piece(2)),
        ".head.text of unit",
    );
    refused_one(
        &(function("f", "") + &piece(2)),
        &function("f", ""),
        ".head.text of unit",
    );
}

#[test]
fn a_function_without_a_size_is_known_to_the_byte() {
    let piece = |number| format!(".text\n.globl f\n.type f,@function\nf: li 3,{number}\nblr\n");
    let said = refused(&[&piece(1)], &[&piece(2)]).concat();
    assert!(said.contains(&format!("f{IN_TEXT} has changed")), "{said}");
}

#[test]
fn a_label_that_has_moved_is_another_one() {
    let code = |before: &str, after: &str| {
        format!(".text\n.globl start, end\nstart: nop\n{before}nop\n{after}blr\n")
    };
    refused_one(
        &code("end: ", ""),
        &code("", "end: "),
        &format!("start{IN_TEXT}"),
    );
    let inside = |before: &str, after: &str| {
        format!(
            ".text\n.type f,@function\nf: li 3,1\n{before}li 4,1\n{after}blr\n.size f,.-f\n.globl inner\n"
        )
    };
    refused_one(
        &inside("inner: ", ""),
        &inside("", "inner: "),
        &format!("inner{IN_TEXT}"),
    );
}

#[test]
fn data_in_no_static_is_compared() {
    for (section, place) in [
        (".data.own,\"aw\"", ".data.own"),
        (".vectors,\"a\"", ".vectors"),
    ] {
        let data = |number| format!(".section {section}\n.quad {number}\n");
        refused_one(&data(1), &data(2), &format!("{place} of unit"));
        let data = |name: &str| format!(".section {section}\n.quad {name}\n.globl f, g\n");
        refused_one(&data("f"), &data("g"), &format!("{place} of unit"));
    }
    let zeros = |size| format!(".section .bss.own,\"aw\",@nobits\nslots: .skip {size}\n");
    refused_one(&zeros(8), &zeros(16), "slots, in .bss.own of unit,");
    // Other units can refer to it by its name.
    let table =
        |number| format!(".section .rodata.own,\"a\"\n.globl table\ntable: .quad {number}\n");
    refused_one(&table(1), &table(2), "table, in .rodata.own of unit,");
}

#[test]
fn a_number_that_other_units_know_is_compared() {
    let code =
        |bound: &str, number| format!(".set limit, {number}\n{bound}") + &function("f", "li 3,1");
    let global = |number| code(".globl limit\n", number);
    same(&global(1), &global(1));
    refused_one(&global(1), &global(2), "limit, in *ABS* of unit,");
    refused_one(&code("", 1), &global(1), "limit, in *ABS* of unit,");
    // In the code that uses it.
    same(&code("", 1), &code("", 2));
}

#[test]
fn a_unit_of_assembly_comes_or_goes() {
    let (one, two) = (function("f", ""), ".text\nblr\n");
    for (old, new) in [(&[&*one][..], &[&*one, two][..]), (&[&one, two], &[&one])] {
        let said = refused(old, new).concat();
        assert!(
            said.starts_with(".text of unit has changed outside"),
            "{said}"
        );
    }
}

#[test]
fn what_is_between_functions_to_align_them_says_nothing() {
    let code = |body: &str| {
        let one = |name: &str, body: &str| {
            format!(
                ".globl {name}\n.type {name},@function\n{name}: {body}\nblr\n.size {name},.-{name}\n.balign 16\n"
            )
        };
        String::from(".text\n") + &one("f", body) + &one("g", "li 3,1")
    };
    let said = refused(&[&code("li 3,1")], &[&code("li 3,1\nli 4,1")]).concat();
    assert!(
        said.starts_with("f has changed and is not to be replaced"),
        "{said}"
    );
    assert!(!said.contains("outside"), "{said}");
}

#[test]
fn constants_without_a_name_are_known_by_who_refers_to_them() {
    let unused = |number| {
        format!(".section .rodata..Lanon.1,\"a\"\n.Lc: .quad {number}\n") + &function("f", "li 3,1")
    };
    assert_eq!(differs(&unused(1), &unused(2)), []);
    same(&unused(1), &unused(2));
}
