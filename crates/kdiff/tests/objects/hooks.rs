//! What is called around a patch, where no function is replaced.

use crate::tools::{archive, build, function, kernel, request};
use kdiff::{Form, Image, Module, Note, Refusal, compare, module, plan};

/// A hook as `klp::hook!` makes it: it brings `S` up to date, and has `called` called before functions
/// are diverted.
fn hook(body: &str) -> String {
    String::from(".section .rodata..Lname,\"a\"\n.Lname: .ascii \"S\"\n")
        + ".section .data.rel.ro..Lnames,\"aw\"\n.p2align 3\n.Lnames: .quad .Lname, 1\n"
        + ".section .klp.hooks,\"aw\"\n.type H,@object\n.p2align 3\nH: .quad .Lnames, 1, called, 0, 0, 0\n.size H,48\n"
        + &function("called", body)
}

fn of_static(value: u64) -> String {
    format!(".section .data.S,\"aw\"\n.type S,@object\n.p2align 3\nS: .quad {value}\n.size S,8\n")
}

/// What is told, and what comes of an edit for a kernel that has this.
fn made(linked: &str, old: &str, new: &str) -> (Vec<Note>, Result<Module, Vec<Refusal>>) {
    let (before, after, kernel) = (archive(&[old]), archive(&[new]), kernel(linked));
    let image = Image::read(&kernel).unwrap();
    let (before, after) = (build(&before), build(&after));
    let comparison = compare(&before, &after).unwrap();
    let plan = plan(&comparison, &before, &after, &image, 3, &|_| None);
    let made = match plan.refused.is_empty() {
        true => module(
            &after,
            &comparison,
            &image,
            &request(&plan, Form::KernelsToc),
        ),
        false => Err(plan.refused),
    };
    (plan.notes, made)
}

/// Checks that a module has the callback, and replaces nothing.
fn only_calls(made: Result<Module, Vec<Refusal>>) {
    let made = made.unwrap();
    assert!(made.replaced.is_empty(), "{:?}", made.replaced);
    assert_eq!(made.carried.functions, ["called"]);
    modload::Module::parse(&made.file).unwrap();
}

#[test]
fn a_hook_alone_makes_a_patch() {
    let kernel = function("f", "li 3,1");
    let (notes, made) = made(&kernel, &kernel, &(kernel.clone() + &hook("li 3,0")));
    assert_eq!(notes, []);
    only_calls(made);
}

#[test]
fn a_hook_with_another_callback_makes_a_patch() {
    let kernel = function("f", "li 3,1");
    let with = |number| function("f", "li 3,1") + &hook(&format!("li 3,{number}"));
    only_calls(made(&kernel, &with(0), &with(1)).1);
}

#[test]
fn a_value_that_a_hook_brings_up_to_date_makes_a_patch() {
    let with = |value| of_static(value) + &hook("li 3,0");
    let (notes, made) = made(&of_static(1), &with(1), &with(2));
    let name = "S".to_owned();
    assert_eq!(notes, [Note::Updated { name }]);
    only_calls(made);
}

#[test]
fn a_hook_that_was_there_makes_none() {
    let kernel = function("f", "li 3,1");
    let with = |number| hook("li 3,0") + &function("unused", &format!("li 3,{number}"));
    let (_, made) = made(&kernel, &with(1), &with(2));
    assert_eq!(made.unwrap_err(), [Refusal::ReachesNothing]);
}
