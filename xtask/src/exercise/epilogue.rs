//! The exercises about epilogues: the proof judges.

use crate::image::{self, Image};
use crate::proof::{self, Outcome, Rule, Violation};
use crate::{modules, symbols, tool};
use klp::Convention;
use klp::convention::FrameHeader;
use object::{Object, ObjectSymbol};
use std::fmt::Write as _;
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

/// The file of exercise 5, in the checkout, and its function.
const DOUBLED: (&str, &str) = ("docs/exercises/doubled.s", "doubled");

/// How many instructions that has when it is right. One is to be taken out.
const WHOLE: u64 = 12;

/// The module of exercise 6.
const MODULE: &str = proof::EXERCISES[0];

/// Whether the function of exercise 5 breaks exactly the one rule that it is to break.
pub fn is_broken() -> Result<(), String> {
    let (file, function) = DOUBLED;
    let object = assemble(&tool::workspace().join(file))?;
    let outcome = proof::prove_functions(&object, &[function], Convention::Epilogue);
    let outcome = outcome.map_err(|error| format!("{file}: {error:#}"))?;
    judge_broken(&outcome, instructions(&object, function))
}

/// How many instructions a function of an object file has.
fn instructions(object: &[u8], function: &str) -> u64 {
    let size = symbols::parse(object).ok().and_then(|file| {
        let mut all = file.symbols();
        Some(all.find(|symbol| symbol.name() == Ok(function))?.size())
    });
    size.unwrap_or_default() / 4
}

fn judge_broken(outcome: &Outcome, count: u64) -> Result<(), String> {
    let (file, function) = DOUBLED;
    let wanted = Rule::NotRestored;
    match outcome {
        Outcome::Violated(found) if found.len() == 1 && found[0].rule == wanted => {
            if count + 1 == WHOLE {
                return Ok(());
            }
            Err(format!(
                "expected: the {WHOLE} instructions that `{function}` had, less one; found: {count}. \
                 (What the proof says is what it should say.)"
            ))
        }
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
    let linked = modules::folder(&image::path(Image::Test))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rule_is_broken_by_one_instruction_less() {
        let violation = |rule| Violation {
            function: "doubled".into(),
            section: ".text".into(),
            address: 0x30,
            offset: 0x30,
            instruction: "blr".into(),
            rule,
        };
        let wanted = || Outcome::Violated(vec![violation(Rule::NotRestored)]);
        assert_eq!(judge_broken(&wanted(), WHOLE - 1), Ok(()));
        // All four of the restore are gone, or a way round it was added.
        for count in [WHOLE - 4, WHOLE, WHOLE + 2] {
            let why = judge_broken(&wanted(), count).unwrap_err();
            assert!(why.contains(&format!("less one; found: {count}.")), "{why}");
        }
        let two = vec![violation(Rule::BadRestore), violation(Rule::NotRestored)];
        let why = judge_broken(&Outcome::Violated(two), WHOLE - 1).unwrap_err();
        assert!(why.contains("has one thing against `doubled`"), "{why}");
    }
}
