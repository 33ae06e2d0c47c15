//! Objects with damaged bytes: never more than an error.

use crate::tools::{archive, build, function, kernel, request};
use kdiff::{Build, Form, Image, compare, module, plan};
use proptest::prelude::*;
use std::sync::LazyLock;

static FILES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let source = |number| {
        String::from(".section .toc,\"aw\"\n.Ls: .quad f\n")
            + ".section .data.rel.ro..L,\"aw\"\n.Lc: .quad .Lc, g, .Ls\n"
            + ".section .rodata.str1.1,\"aMS\",@progbits,1\n.Lt: .asciz \"text\"\n"
            + ".section .bss.S,\"aw\",@nobits\n.type S,@object\nS: .skip 8\n.size S,8\n"
            + &function(
                "f",
                &format!(
                    "li 3,{number}\nbl g\nnop\naddis 3,2,.Lc@toc@ha\nld 3,.Ls@toc@l(2)\naddi 4,2,.Lt@toc@l\naddi 5,2,S@toc@l"
                ),
            )
            + &function("g", "bl f")
    };
    [
        archive(&[&source(1)]),
        archive(&[&source(2)]),
        kernel(&source(1)),
    ]
});

/// Does everything that can be done with files.
fn all(old: &[u8], new: &[u8], image: &[u8]) {
    let (mut before, mut after) = (Build::default(), Build::default());
    if before.add("libunit-1", old).is_err() || after.add("libunit-1", new).is_err() {
        return;
    }
    let (Ok(image), Ok(comparison)) = (Image::read(image), compare(&before, &after)) else {
        return;
    };
    let plan = plan(&comparison, &before, &after, &image, 500, &|_| None);
    for form in [Form::KernelsToc, Form::OwnToc(kdiff::Returns::Restore)] {
        if let Ok(made) = module(&after, &comparison, &image, &request(&plan, form)) {
            let _ = modload::Module::parse(&made.file);
        }
    }
}

#[test]
fn the_files_are_good() {
    let [old, new, kernel] = &*FILES;
    let comparison = compare(&build(old), &build(new)).unwrap();
    assert_eq!(comparison.functions.len(), 1);
    all(old, new, kernel);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_bytes_are_an_error_at_most(
        which in 0..3_usize,
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut files = FILES.clone();
        for (place, byte) in places {
            let place = place.index(files[which].len());
            files[which][place] = byte;
        }
        all(&files[0], &files[1], &files[2]);
    }

    #[test]
    fn cut_files_are_an_error_at_most(which in 0..3_usize, end in any::<prop::sample::Index>()) {
        let mut files = FILES.clone();
        let end = end.index(files[which].len());
        files[which].truncate(end);
        all(&files[0], &files[1], &files[2]);
    }
}
