//! The exercises about epilogues: the proof judges.

use crate::proof::{self, Outcome, Rule, Violation};
use crate::tool;
use klp::convention::FrameHeader;
use klp::{Convention, stack};
use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

/// The file of exercise 5, in the checkout, and its function.
const DOUBLED: (&str, &str) = ("docs/exercises/doubled.s", "doubled");

/// The module of exercise 6.
const MODULE: &str = proof::EXERCISES[0];

/// Whether the function of exercise 5 breaks exactly the one rule that it is to break.
pub fn is_broken() -> Result<(), String> {
    let (file, function) = DOUBLED;
    let object = assemble(&tool::workspace().join(file))?;
    let outcome = proof::prove_functions(&object, &[function], Convention::Epilogue);
    judge_broken(&outcome.map_err(|error| format!("{file}: {error:#}"))?)
}

fn judge_broken(outcome: &Outcome) -> Result<(), String> {
    let (file, function) = DOUBLED;
    let wanted = Rule::NotRestored;
    match outcome {
        Outcome::Violated(found) if found.len() == 1 && found[0].rule == wanted => Ok(()),
        Outcome::Violated(found) => Err(format!(
            "expected: the proof has one thing against `{function}`, that {wanted}; found:{}",
            listing(found)
        )),
        _ => Err(format!(
            "not done yet: the proof has nothing against `{function}` in {file}"
        )),
    }
}

/// The object file of an assembly source.
fn assemble(source: &Path) -> Result<Vec<u8>, String> {
    let folder = tool::target_dir().join("klplab");
    let text = |error: anyhow::Error| format!("{error:#}");
    std::fs::create_dir_all(&folder).map_err(|error| text(error.into()))?;
    let object = folder.join(format!("exercise-{}.o", std::process::id()));
    let mut command = Command::new(tool::cross("as"));
    command.args(["-mlittle", "-a64", "-mpower8"]);
    for (name, value) in [
        ("BACK_CHAIN", offset_of!(FrameHeader, back_chain)),
        ("RESERVED", offset_of!(FrameHeader, reserved)),
        ("LR_SAVE", offset_of!(FrameHeader, lr_save)),
        ("STACK_FLOOR", stack::FLOOR),
    ] {
        command.arg("--defsym").arg(format!("{name}={value}"));
    }
    command.arg("-o").arg(&object).arg(source);
    let output = tool::output(&mut command).map_err(text)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "expected: a file that can be assembled; found:\n{}",
            said.trim()
        ));
    }
    let bytes = tool::read_file(&object).map_err(text);
    let _ = std::fs::remove_file(object);
    bytes
}

/// Whether the module of exercise 6, as it was just linked, is proved.
pub fn is_mended() -> Result<(), String> {
    let linked = tool::target_dir()
        .join("klplab/modules")
        .join(Convention::USUAL.name())
        .join(format!("{MODULE}.debug.ko"));
    let outcome = tool::read_file(&linked).and_then(|bytes| proof::prove(&bytes));
    match outcome.map_err(|error| format!("{MODULE}: {error:#}"))? {
        Outcome::Violated(found) => {
            // The start has three mistakes, of which the proof says four things.
            let start = [
                Rule::ZeroBase,
                Rule::BadRestore,
                Rule::CallAfterRestore,
                Rule::NotRestored,
            ];
            let untouched = found.iter().map(|violation| violation.rule).eq(start);
            let begin = if untouched {
                "not done yet: the proof has this against"
            } else {
                "expected: the proof has nothing against"
            };
            let found = listing(&found);
            let colon = if untouched { ":" } else { "; found:" };
            Err(format!("{begin} `{MODULE}`{colon}{found}"))
        }
        _ => Ok(()),
    }
}

/// A line for each.
fn listing(violations: &[Violation]) -> String {
    violations
        .iter()
        .fold(String::new(), |mut text, violation| {
            let Violation {
                function,
                offset,
                instruction,
                rule,
                ..
            } = violation;
            // Text grows as it must.
            let _ = write!(text, "\n  {function}+{offset:#x}, `{instruction}`: {rule}");
            text
        })
}
