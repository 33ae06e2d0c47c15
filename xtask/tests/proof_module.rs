//! The proof and the build id, on a module whose descriptor is made by hand.

use klp::{Convention, Function, Info, info};
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::proof::{Outcome, Rule, prove};
use xtask::{modules, tool};

/// A linked module that replaces two functions by `first` and `second`, the
/// latter with or without the restore.
fn module(name: &str, convention: Convention, restores: bool) -> Vec<u8> {
    let (info, function) = (size_of::<Info>(), size_of::<Function>());
    let restore = if restores { "restore" } else { "nop" };
    let source = format!(
        r#"
        .include "common.inc"
function_with_toc first
        open
        restore
        close
        blr
end first

        .section .text.second, "ax"
        .p2align 4
        .globl  second
        .type   second, @function
second: nop
        nop
        open
        {restore}
        close
        blr
end second

        .section .text.nobody, "ax"
        .globl  nobody
        .type   nobody, @function
nobody: blr
end nobody

        .section .data.rel.ro.list, "aw"
list:   .org    list + {new}
        .quad   first
        .org    list + {function} + {new}
        .quad   second
        .org    list + 2 * {function}

        .section {section}, "aw"
        .globl  {symbol}
        .type   {symbol}, @object
        .quad   0xdeadbeef
{symbol}:
        .quad   {magic}
        .org    {symbol} + {convention_at}
        .long   {convention}
        .org    {symbol} + {functions}
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
        functions = offset_of!(Info, functions),
        count = offset_of!(Info, function_count),
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
    let good = module("good", Convention::Epilogue, true);
    assert_eq!(prove(&good).unwrap(), Outcome::Proved(2));
}

#[test]
fn one_that_breaks_a_rule_is_found_among_them() {
    let bad = module("bad", Convention::Epilogue, false);
    let Outcome::Violated(found) = prove(&bad).unwrap() else {
        panic!("not found");
    };
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0].function.as_str(), found[0].rule),
        ("second", Rule::NotRestored)
    );
}

#[test]
fn without_a_convention_there_is_nothing_to_prove() {
    let plain = module("plain", Convention::Plain, false);
    assert_eq!(prove(&plain).unwrap(), Outcome::NotNeeded);
}

#[test]
fn a_convention_that_nobody_knows_is_an_error() {
    let mut module = module("unknown", Convention::Epilogue, true);
    let place = descriptor(&module) + offset_of!(Info, convention);
    module[place] = 99;
    let error = prove(&module).unwrap_err().to_string();
    assert!(error.contains("convention 99"), "{error}");
}

#[test]
fn the_build_id_and_nothing_else_is_stamped() {
    let before = module("stamp", Convention::Epilogue, true);
    let id: [u8; info::BUILD_ID_BYTES] = std::array::from_fn(|byte| byte as u8 + 1);
    let after = modules::stamp(before.clone(), &id).unwrap();
    let place = descriptor(&before) + offset_of!(Info, build_id);
    let mut expected = before;
    expected[place..place + id.len()].copy_from_slice(&id);
    assert_eq!(after, expected);
}

#[test]
fn a_file_without_a_descriptor_is_not_stamped() {
    let mut module = module("magic", Convention::Epilogue, true);
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
