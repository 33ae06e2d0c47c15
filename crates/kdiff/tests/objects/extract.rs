//! Modules: what the kernel's loader makes of them.

use crate::tools::{archive, build, function, kernel, request};
use kdiff::{Form, Image, Module, Refusal, Returns, Why, compare, module, plan};

const BASE: u64 = 0x0100_0000;
const TOC: u64 = 0x0080_8000;

fn extracted(old: &str, new: &str, form: Form) -> (Result<Module, Vec<Refusal>>, Vec<u8>) {
    extracted_for(old, old, new, form)
}

/// The same for a kernel of which the linker has left something out.
fn extracted_for(
    linked: &str,
    old: &str,
    new: &str,
    form: Form,
) -> (Result<Module, Vec<Refusal>>, Vec<u8>) {
    let (before, after, kernel) = (archive(&[old]), archive(&[new]), kernel(linked));
    let made = {
        let image = Image::read(&kernel).unwrap();
        let (before, after) = (build(&before), build(&after));
        let comparison = compare(&before, &after).unwrap();
        let plan = plan(&comparison, &before, &after, &image, 500, &|_| None);
        assert_eq!(plan.refused, []);
        module(&after, &comparison, &image, &request(&plan, form))
    };
    (made, kernel)
}

/// The words of a function of a placed module.
fn placed(module: &[u8], name: &str) -> (u64, Vec<u32>) {
    let plan = modload::Module::parse(module).unwrap();
    let mut image = vec![0; plan.size()];
    let placed = plan
        .place_with_toc(BASE, &mut image, TOC, |_| None)
        .unwrap();
    let symbol = placed.symbols().find(|symbol| symbol.name == name).unwrap();
    let start = (symbol.address - BASE) as usize;
    let bytes = &image[start..start + symbol.size as usize];
    let words = bytes
        .as_chunks()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word));
    (symbol.address, words.collect())
}

fn address(kernel: &[u8], name: &str) -> u64 {
    Image::read(kernel).unwrap().all(name)[0].address
}

/// Where a branch at an address goes.
fn branch(at: u64, word: u32) -> u64 {
    at.wrapping_add_signed(i64::from((word << 6).cast_signed() >> 6 & !3))
}

#[test]
fn calls_go_to_the_running_kernel_and_new_functions_come_along() {
    let old = function("other", "li 3,7") + &function("f", "li 3,1");
    let new = function("other", "li 3,7")
        + &function("fresh", "li 3,5")
        + &function("f", "bl other\nnop\nbl fresh\nnop\nbl f\nnop");
    let (made, kernel) = extracted(&old, &new, Form::KernelsToc);
    let made = made.unwrap();
    assert_eq!(
        (&made.replaced[..], &made.carried.functions[..]),
        (&["f".to_owned()][..], &["fresh".to_owned()][..])
    );
    let (start, words) = placed(&made.file, "f");
    let calls: Vec<u64> = (words.iter().enumerate())
        .filter(|(_, word)| *word >> 26 == 18)
        .map(|(index, word)| branch(start + 4 * index as u64, *word))
        .collect();
    // To local entries: of the kernel's functions, of the module's own, and, where the function
    // calls itself, of the old one, whose site decides.
    let (fresh, _) = placed(&made.file, "fresh");
    assert_eq!(
        calls,
        [
            address(&kernel, "other") + 8,
            fresh + 8,
            address(&kernel, "f") + 8
        ]
    );
    // The global entry makes the kernel's TOC pointer of r12.
    let (high, low) = (words[0] & 0xffff, words[1] & 0xffff);
    let sum =
        i64::from((high as u16).cast_signed()) * 0x1_0000 + i64::from((low as u16).cast_signed());
    assert_eq!(start.wrapping_add_signed(sum), TOC);
}

#[test]
fn statics_keep_their_place_and_new_ones_come_along() {
    let data = |name: &str| {
        format!(
            ".section .data.{name},\"aw\"\n.type {name},@object\n.p2align 3\n{name}: .quad 5\n.size {name},8\n"
        )
    };
    let takes = |name: &str| format!("addis 3,2,{name}@toc@ha\naddi 3,3,{name}@toc@l");
    let old = data("S") + &function("f", &takes("S"));
    let new = data("S") + &data("T") + &function("f", &(takes("S") + "\n" + &takes("T")));
    let (made, kernel) = extracted(&old, &new, Form::KernelsToc);
    let made = made.unwrap();
    assert_eq!(made.carried.statics, ["T"]);
    let (_, words) = placed(&made.file, "f");
    let at = |index: usize| {
        let (high, low) = (words[index] as u16, words[index + 1] as u16);
        let sum = i64::from(high.cast_signed()) * 0x1_0000 + i64::from(low.cast_signed());
        TOC.wrapping_add_signed(sum)
    };
    assert_eq!(at(4), address(&kernel, "S"));
    assert!(at(6) > BASE);
}

#[test]
fn a_piece_of_assemblers_has_a_name_without_a_type() {
    let piece = |name: &str| format!(".text\nnop\n.globl {name}\n{name}: nop\n");
    let takes = |name: &str| format!("addis 3,2,{name}@toc@ha\naddi 3,3,{name}@toc@l");
    let old = piece("hand_off") + &function("f", "li 3,1");
    let new = piece("hand_off") + &function("f", &takes("hand_off"));
    let (made, kernel) = extracted(&old, &new, Form::KernelsToc);
    let made = made.unwrap();
    let (_, words) = placed(&made.file, "f");
    let part = |index: usize| i64::from((words[index] as u16).cast_signed());
    let found = TOC.wrapping_add_signed(part(4) * 0x1_0000 + part(5));
    assert_eq!(found, address(&kernel, "hand_off"));
    // Of one that the kernel does not have, the end is not known.
    let [before, after] = ["li 3,1", &takes("fresh")]
        .map(|body| piece("hand_off") + &piece("fresh") + &function("f", body));
    let (made, _) = extracted_for(&old, &before, &after, Form::KernelsToc);
    assert!(matches!(
        made.unwrap_err()[..],
        [Refusal::Unnamed { .. }, ..]
    ));
}

const RESTORE: [u32; 4] = [0xe841_000e, 0x7c08_02a6, 0x7c42_0214, 0x4e80_0020];

#[test]
fn returns_are_rewritten_for_a_toc_of_its_own() {
    let old = function("other", "li 3,7") + &function("f", "li 3,1");
    let new =
        function("other", "li 3,7") + &function("f", "beqlr\nbl other\nnop\nbl other\nli 3,2");
    let (made, _) = extracted(&old, &new, Form::OwnToc(Returns::Restore));
    let (start, words) = placed(&made.unwrap().file, "f");
    // Behind the body there are a call without a nop, and the restore.
    let body = 4 + 6;
    assert_eq!(words[words.len() - 4..], RESTORE);
    assert_eq!(words.len(), body + 3 + 4);
    let restore = start + 4 * (body as u64 + 3);
    // beqlr became beq, blr became b.
    assert_eq!(words[4] >> 16, 0x4182);
    assert_eq!(start + 16 + u64::from(words[4] & 0xfffc), restore);
    assert_eq!(branch(start + 4 * 9, words[9]), restore);
    // The nop became a reload, and the other call went behind the body and comes back.
    assert_eq!(words[6], 0xe841_0018);
    let there = start + 4 * body as u64;
    assert_eq!(branch(start + 4 * 7, words[7]), there);
    assert_eq!(words[body + 1], 0xe841_0018);
    assert_eq!(branch(there + 8, words[body + 2]), start + 4 * 8);
    let (made, kernel) = extracted(&old, &new, Form::OwnToc(Returns::Restore));
    let (stub, words) = placed(&made.unwrap().file, "stub.other");
    assert!(stub > BASE && words == modload::stub(address(&kernel, "other")));
}

#[test]
fn tail_calls_and_computed_jumps_can_not_have_a_toc_of_their_own() {
    let old = function("other", "li 3,7") + &function("f", "li 3,1");
    for (body, expected) in [("b other", Why::TailCall), ("bctr", Why::Computed)] {
        let new = function("other", "li 3,7") + &function("f", body);
        let (made, _) = extracted(&old, &new, Form::OwnToc(Returns::Restore));
        let refused = made.unwrap_err();
        let [Refusal::OwnToc { why, .. }] = &refused[..] else {
            panic!("{refused:?}")
        };
        assert_eq!(*why, expected);
        assert!(extracted(&old, &new, Form::KernelsToc).0.is_ok());
    }
}

#[test]
fn what_no_object_defines_is_refused() {
    let (made, _) = extracted(
        &function("f", "li 3,1"),
        &function("f", "bl nowhere\nnop"),
        Form::KernelsToc,
    );
    assert_eq!(
        made.unwrap_err(),
        [Refusal::Nowhere {
            name: "nowhere".to_owned()
        }]
    );
}

#[test]
fn gccs_call_at_the_entry_stays_what_the_loader_takes_out() {
    let source = |number| {
        format!(
            ".section .text.c,\"ax\"\n.type c,@function\nc: mflr 0\nbl _mcount\nli 3,{number}\nblr\n.size c,.-c\n\
             .section .text._mcount,\"ax\"\n.globl _mcount\n.type _mcount,@function\n_mcount: blr\n.size _mcount,4\n"
        )
    };
    for form in [Form::KernelsToc, Form::OwnToc(Returns::Restore)] {
        let (made, _) = extracted(&source(1), &source(2), form);
        let (_, words) = placed(&made.unwrap().file, "c");
        assert_eq!(words[..3], [0x7c08_02a6, 0x6000_0000, 0x3860_0002]);
    }
}
