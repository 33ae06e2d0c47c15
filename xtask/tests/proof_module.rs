//! The proof and the build id, on a module with a descriptor that is made by hand.

use klp::{Convention, Function, Info, MOST_FRAME, Object, info};
use std::collections::BTreeSet;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::proof::{Outcome, Rule, prove, prove_for};
use xtask::{modules, tool};

/// What `second` and `helper` are like.
#[derive(Clone, Copy)]
struct Parts {
    restores: bool,
    frame: usize,
    sizes: bool,
    flags: u32,
    /// The name of what `first` replaces, which ends in a call of the kernel's function at
    /// [`PANICS`].
    old: &'static str,
}

/// Where the kernel has a function that never returns, and its name.
const PANICS: u64 = 0x4567_8900;
const NAME: &str = "kernel_panics";

const GOOD: Parts = Parts {
    restores: true,
    frame: MOST_FRAME,
    sizes: true,
    flags: 0,
    old: "",
};

/// A linked module that replaces a function of the kernel's by `first`, which calls
/// `helper`, and one of another module's by `second`.
fn module(name: &str, convention: Convention, parts: Parts) -> Vec<u8> {
    let (info, function, object) = (
        size_of::<Info>(),
        size_of::<Function>(),
        size_of::<Object>(),
    );
    let restore = if parts.restores { "restore" } else { "nop" };
    let (branch, panics) = match parts.old {
        "" => ("", ""),
        _ => ("beq 1f", "1: bl stub; .long 0"),
    };
    let stub = modload::stub(PANICS).map(|word| word.to_string());
    let source = format!(
        r#"
        .include "common.inc"
function_with_toc first
        open
        {branch}
        bl      helper
        {restore}
        close
        blr
        {panics}
end first

        .globl  {NAME}
        .set    {NAME}, {PANICS}
        .section .text.stub, "ax"
        .type   stub, @function
stub:   .long   {stub}
        .size   stub, . - stub

        .section .text.second, "ax"
        .p2align 4
        .globl  second
        .type   second, @function
second: nop
        nop
        mflr    0
        stdu    1,-32(1)
        std     0,48(1)
        {restore}
        close
        blr
end second

        .section .text.helper, "ax"
        .type   helper, @function
helper: stdu    1,-{frame}(1)
        ld      1,0(1)
        blr
{end} helper

        .section .text.unreached, "ax"
        .globl  unreached
        .type   unreached, @function
unreached: stdu    1,-0x7000(1)
end unreached

        .section .data.rel.ro.list, "aw"
kernels:
        .quad   old, {old_length}
        .org    kernels + {new}
        .quad   first
        .org    kernels + {function}
others: .quad   0, 0
        .org    others + {new}
        .quad   second
        .org    others + {function}
list:   .org    list + {functions}
        .quad   kernels
        .org    list + {function_count}
        .quad   1
        .org    list + {object} + {functions}
        .quad   others
        .org    list + {object} + {function_count}
        .quad   1
        .org    list + 2 * {object}

old:    .ascii  "{old} "
        .p2align 3

        .section {section}, "aw"
        .globl  {symbol}
        .type   {symbol}, @object
        .quad   0xdeadbeef
{symbol}:
        .quad   {magic}
        .org    {symbol} + {convention_at}
        .long   {convention}
        .org    {symbol} + {flags_at}
        .long   {flags}
        .org    {symbol} + {objects}
        .quad   list
        .org    {symbol} + {count}
        .quad   2
        .org    {symbol} + {info}
        .size   {symbol}, . - {symbol}
"#,
        new = offset_of!(Function, new),
        section = info::SECTION,
        symbol = info::SYMBOL,
        magic = info::MAGIC,
        convention_at = offset_of!(Info, convention),
        convention = convention as u32,
        flags_at = offset_of!(Info, flags),
        flags = parts.flags,
        objects = offset_of!(Info, objects),
        count = offset_of!(Info, object_count),
        functions = offset_of!(Object, functions),
        function_count = offset_of!(Object, function_count),
        stub = stub.join(", "),
        old = parts.old,
        old_length = parts.old.len(),
        frame = parts.frame,
        // Another label, where no size is to be.
        end = if parts.sizes { "end" } else { ".globl" },
    );
    let file = |end: &str| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name.to_owned() + end);
    std::fs::write(file(".s"), source).unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = |command: &mut Command| assert!(tool::status(command).unwrap().success(), "{name}");
    let mut assembler = Command::new(tool::cross("as"));
    assembler
        .args(["-mlittle", "-a64", "-I"])
        .arg(package.join("tests/proof"));
    run(assembler.arg("-o").arg(file(".o")).arg(file(".s")));
    let mut linker = Command::new(tool::cross("ld"));
    linker.args([
        "-r",
        "--gc-sections",
        "-u",
        info::SYMBOL,
        "--entry",
        info::SYMBOL,
    ]);
    linker
        .arg("-T")
        .arg(tool::workspace().join("patches/modules.ld"));
    run(linker.arg("-o").arg(file(".ko")).arg(file(".o")));
    tool::read_file(&file(".ko")).unwrap()
}

#[test]
fn all_functions_of_the_descriptor_are_proved() {
    let good = module("good", Convention::Epilogue, GOOD);
    assert_eq!(prove(&good).unwrap(), Outcome::Proved(2));
}

#[test]
fn one_that_breaks_a_rule_is_found_among_them() {
    let parts = Parts {
        restores: false,
        ..GOOD
    };
    let bad = module("bad", Convention::Epilogue, parts);
    let Outcome::Violated(found) = prove(&bad).unwrap() else {
        panic!("not found");
    };
    let found: Vec<_> = found.iter().map(|v| (&*v.function, v.rule)).collect();
    let expected = ["first", "second"].map(|function| (function, Rule::NotRestored));
    assert_eq!(found, expected);
}

#[test]
fn without_a_convention_there_is_nothing_to_prove() {
    let parts = Parts {
        restores: false,
        ..GOOD
    };
    let plain = module("plain", Convention::Plain, parts);
    assert_eq!(prove(&plain).unwrap(), Outcome::NotNeeded);
}

/// A call of what the module replaces may come to the new function, which returns here.
#[test]
fn what_never_returns_may_be_replaced_by_what_does() {
    let never = BTreeSet::from([NAME.to_owned()]);
    let outcome = |old| {
        let parts = Parts { old, ..GOOD };
        let module = module(old, Convention::Epilogue, parts);
        (prove(&module).unwrap(), prove_for(&module, &never).unwrap())
    };
    let (unknown, known) = outcome("another");
    assert!(matches!(unknown, Outcome::Violated(_)), "{unknown:?}");
    assert_eq!(known, Outcome::Proved(2));
    let (unknown, known) = outcome(NAME);
    assert_eq!(known, unknown);
}

/// Such a module promises what the convention `plain` does not ask for.
#[test]
fn a_module_that_keeps_the_kernels_toc_is_proved_and_is_plain() {
    let keeps = |name, convention, restores| {
        let flags = info::KERNELS_TOC | info::REPLACE;
        let parts = Parts {
            restores,
            flags,
            ..GOOD
        };
        prove(&module(name, convention, parts))
    };
    let outcome = keeps("keeps", Convention::Plain, false).unwrap();
    assert_eq!(outcome, Outcome::Proved(2));
    let Outcome::Violated(found) = keeps("keeps-not", Convention::Plain, true).unwrap() else {
        panic!("not found");
    };
    let found: Vec<_> = found.iter().map(|v| (&*v.function, v.rule)).collect();
    let twice = |function| [(function, Rule::ChangesToc); 2];
    assert_eq!(found, [twice("second"), twice("first")].concat());
    for convention in [Convention::Epilogue, Convention::Pcrel] {
        let error = keeps("keeps-other", convention, false).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("must be built in convention `plain`"),
            "{error}"
        );
        assert!(error.contains(convention.name()), "{error}");
    }
}

#[test]
fn a_large_frame_is_found_in_every_function() {
    let frame = MOST_FRAME + 16;
    let parts = Parts { frame, ..GOOD };
    for (name, convention) in [
        ("large", Convention::Epilogue),
        ("large-plain", Convention::Plain),
    ] {
        let Outcome::Violated(found) = prove(&module(name, convention, parts)).unwrap() else {
            panic!("not found");
        };
        assert_eq!(found.len(), 1, "{found:#?}");
        let rule = Rule::FrameTooLarge {
            bytes: frame as u64,
        };
        assert_eq!(
            (found[0].function.as_str(), found[0].rule),
            ("helper", rule)
        );
    }
}

#[test]
fn a_list_that_is_cut_off_is_an_error() {
    let mut module = module("cut", Convention::Epilogue, GOOD);
    let place = descriptor(&module) + offset_of!(Info, object_count);
    module[place] = 99;
    let error = format!("{:#}", prove(&module).unwrap_err());
    assert!(error.contains("99 entries reach past the end"), "{error}");
}

#[test]
fn a_convention_that_unreached_knows_is_an_error() {
    let mut module = module("unknown", Convention::Epilogue, GOOD);
    let place = descriptor(&module) + offset_of!(Info, convention);
    module[place] = 99;
    let error = prove(&module).unwrap_err().to_string();
    assert!(error.contains("convention 99"), "{error}");
}

#[test]
fn a_function_without_a_size_is_named() {
    let parts = Parts {
        sizes: false,
        ..GOOD
    };
    let error = prove(&module("sizeless", Convention::Epilogue, parts)).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("function helper has no size"), "{error}");
}

#[test]
fn build_id_and_seal_and_nothing_else_are_stamped() {
    let before = module("stamp", Convention::Epilogue, GOOD);
    let id: [u8; info::BUILD_ID_BYTES] = std::array::from_fn(|byte| byte as u8 + 1);
    let after = modules::stamp(before.clone(), &id).unwrap();
    let place = descriptor(&before) + offset_of!(Info, build_id);
    let seal = descriptor(&before) + offset_of!(Info, seal);
    let mut expected = before;
    expected[place..place + id.len()].copy_from_slice(&id);
    assert_ne!(after[seal..seal + 4], [0; 4]);
    expected[seal..seal + 4].copy_from_slice(&after[seal..seal + 4]);
    assert_eq!(after, expected);
}

/// Whatever the proof has seen counts.
#[test]
fn another_code_has_another_seal() {
    let parts = Parts {
        restores: false,
        ..GOOD
    };
    let id = [0; info::BUILD_ID_BYTES];
    let seal = |name, parts| {
        let module = modules::stamp(module(name, Convention::Epilogue, parts), &id).unwrap();
        let place = descriptor(&module) + offset_of!(Info, seal);
        module[place..place + 4].to_vec()
    };
    assert_eq!(seal("sealed", GOOD), seal("sealed-again", GOOD));
    assert_ne!(seal("sealed", GOOD), seal("sealed-other", parts));
}

#[test]
fn a_file_without_a_descriptor_is_not_stamped() {
    let mut module = module("magic", Convention::Epilogue, GOOD);
    let place = descriptor(&module);
    module[place] ^= 1;
    let error = modules::stamp(module, &[0; info::BUILD_ID_BYTES])
        .unwrap_err()
        .to_string();
    assert!(error.contains("the descriptor starts with"), "{error}");
    assert!(modules::stamp(b"no ELF".into(), &[0; info::BUILD_ID_BYTES]).is_err());
}

/// Where the descriptor is in the file.
fn descriptor(module: &[u8]) -> usize {
    let magic = info::MAGIC.to_le_bytes();
    module.windows(8).position(|bytes| bytes == magic).unwrap()
}
