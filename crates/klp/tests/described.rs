//! What `module!` makes of all that can be said in it.

use klp::{Context, Function, Object, State, info};
use std::mem::offset_of;

static FIRST: State = State::new(3, 1);
static SECOND: State = State::new(4, 2);

klp::module! {
    name: "described",
    replace: true,
    replaces: ["kernel::x" => x, "twins::same"[2] => same],
    callbacks: { post_patch: told, pre_patch: asked },
    targets: [
        "one": { replaces: ["one::work" => x], callbacks: { pre_unpatch: told } },
        "two": { replaces: ["two::work"[1] => x, "two::rest" => same] },
    ],
    states: [FIRST, SECOND],
    provides: [same],
}

klp::replacement! {
    extern "C" fn x(value: u64) -> u64 {
        value + 1
    }

    extern "C" fn same() {}
}

extern "C" fn asked(context: &Context<'_>) -> i32 {
    context.object().len() as i32
}

extern "C" fn told(_: &Context<'_>) {}

fn objects() -> &'static [Object] {
    // SAFETY: the descriptor's own table.
    unsafe { std::slice::from_raw_parts(KLP_INFO.objects, KLP_INFO.object_count as usize) }
}

fn functions(object: &Object) -> &'static [Function] {
    // SAFETY: the descriptor's own table.
    unsafe { std::slice::from_raw_parts(object.functions, object.function_count as usize) }
}

fn text(text: klp::Text) -> &'static str {
    let (start, length) = text.parts();
    if length == 0 {
        return "";
    }
    let start = std::ptr::with_exposed_provenance(start as usize);
    // SAFETY: the descriptor's own text.
    let bytes = unsafe { std::slice::from_raw_parts(start, length as usize) };
    std::str::from_utf8(bytes).unwrap()
}

fn address(function: *const ()) -> u64 {
    function.addr() as u64
}

#[test]
fn everything_is_in_the_descriptor() {
    assert_eq!(KLP_INFO.magic, info::MAGIC);
    assert_eq!(KLP_INFO.flags, info::REPLACE);
    assert_eq!(text(KLP_INFO.name), "described");
    let found: Vec<_> = objects()
        .iter()
        .map(|object| {
            let functions: Vec<_> = functions(object)
                .iter()
                .map(|f| (text(f.old), f.position, address(f.new)))
                .collect();
            let callbacks: Vec<_> = object.callbacks.iter().collect();
            (text(object.name), functions, callbacks)
        })
        .collect();
    let (x, same) = (address(x as *const ()), address(same as *const ()));
    let (asked, told) = (address(asked as *const ()), address(told as *const ()));
    let expected = [
        (
            "",
            vec![("kernel::x", 0, x), ("twins::same", 2, same)],
            vec![("pre_patch", asked), ("post_patch", told)],
        ),
        (
            "one",
            vec![("one::work", 0, x)],
            vec![("pre_unpatch", told)],
        ),
        (
            "two",
            vec![("two::work", 1, x), ("two::rest", 0, same)],
            vec![],
        ),
    ];
    assert_eq!(found, expected);
    assert_eq!((KLP_INFO.state_count, KLP_INFO.provided_count), (2, 1));
    // SAFETY: the descriptor's own tables.
    let (states, provided) = unsafe {
        (
            std::slice::from_raw_parts(KLP_INFO.states, 2),
            *KLP_INFO.provides,
        )
    };
    assert_eq!(states, [&raw const FIRST, &raw const SECOND]);
    assert_eq!(address(provided.function), same);
}

#[test]
fn the_layout_has_no_holes() {
    assert_eq!(size_of::<klp::Info>(), 104);
    assert_eq!(offset_of!(klp::Info, name), 40);
    assert_eq!(size_of::<Object>(), 64);
    assert_eq!(offset_of!(Object, callbacks), 32);
    assert_eq!(size_of::<Function>(), 32);
    assert_eq!(size_of::<State>(), 16);
}

#[test]
fn a_callback_is_told_the_name_of_the_object() {
    let name = String::from("other");
    assert_eq!(Context::new(&name).object(), "other");
    assert_eq!(Context::new("").object(), "kernel");
    assert_eq!(asked(&Context::new(&name)), 5);
}
