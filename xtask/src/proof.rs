//! Shows that the replacement functions of a linked module keep their return
//! convention, and that no function of it can step over the guard below a stack.
//!
//! A function of the convention `epilogue` must bring its caller's r2 back before it returns, from the
//! word that the hand-off has put at 12(r1) of the caller's frame. What the
//! compiler makes around the convention's four instructions is not in the
//! source, so it is read from the module's code. For every replacement, on all
//! ways from its local entry, this shows:
//!
//! - a frame is opened, and LR saved in the caller's frame;
//! - every way to a return passes the restore exactly once: the word at 12 and
//!   the LR saved at 16 of the caller's frame are loaded while the frame is open
//!   and r2 becomes their sum;
//! - from there on r2 is neither read nor written, and nothing is called;
//! - no branch leaves the function for good, and none goes where a register says;
//! - nothing writes 12(r1) of the caller's frame, nor anything else of that
//!   frame's header but CR and LR;
//! - it returns with the r1 and to the address that it was called with.
//!
//! The same holds for `pcrel`, but that up to the restore r2 is a register as any
//! other. Nothing of it is asked of `plain`. Functions of `as-posted` must break the
//! rules about the restore, and no others: they are the control, of this proof too.
//!
//! And for every function of the module, replacement or not: it calls no replacement
//! directly, for only the hand-off leaves the word at 12(r1); and all that its
//! instructions open together is no larger than [`klp::MOST_FRAME`], each with a back
//! chain at its lowest end, so that the store of one faults if the stack is full.
//!
//! An instruction that is not understood is a violation like any other: it can't
//! be proved that it is none.
//!
//! # What is taken for granted
//! - A store through a pointer that has nothing to do with r1, and one at a
//!   variable distance from an address in the function's own frame, hits no
//!   stack frame's header. That is what the Rust compiler sees to.
//! - Called functions keep the ABI: r1, r2 (or the `nop` behind the call becomes
//!   its reload) and the nonvolatile registers; and what is called does not write
//!   into the caller's caller's frame.
//! - The functions in [`DIVERGING`] do not return.
//! - In functions that are no replacements: where r1 grows or becomes what another
//!   register holds, a frame is closed; and no frame is opened in a loop.
//!
//! There is a decoder of its own here, beside the kernel's disassembler, because
//! the proof must know what each instruction reads and writes, and must know
//! when it does not.

mod decode;
mod direct;
mod diverge;
mod extended;
mod flow;
mod frames;
mod insn;
mod module;
mod posted;
mod prefixed;
mod rule;
mod state;
mod step;

pub use rule::{Rule, Violation};

use anyhow::{Context, Result};
use klp::Convention;
use module::{Code, Module};

/// The kernel's exported functions that never return.
pub const DIVERGING: [&str; 1] = ["klp_panic"];

/// Modules that leave by a tail call, as the control that shows what comes of it.
/// They are packed because the proof finds that, and nothing else.
pub const CONTROLS: [&str; 1] = ["cases-tail"];

/// Modules with mistakes in them that a reader is to mend (docs/exercises): of the usual
/// convention alone, and packed only when they are proved.
pub const EXERCISES: [&str; 1] = ["exercise_epilogue"];

/// Whether a module is a control, and was found to break the rules that it is here
/// to break.
#[must_use]
pub fn is_failed_control(name: &str, outcome: &Outcome) -> bool {
    let is_meant = |one: &Violation| {
        matches!(
            one.rule,
            Rule::ComputedJump | Rule::WritesCallersFrame | Rule::NotAsPosted
        )
    };
    CONTROLS.contains(&name)
        && matches!(outcome, Outcome::Violated(found) if found.iter().all(is_meant))
}

/// What became of the proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The module's convention asks nothing of its functions, and they keep what
    /// is asked of all.
    NotNeeded,
    /// All replacement functions keep the rules; so many there are.
    Proved(usize),
    /// The module's convention can't be kept: all replacement functions break it
    /// where they must, and no other rule; so many there are.
    FailsAsPosted(usize),
    /// Some do not.
    Violated(Vec<Violation>),
}

/// Proves all replacement functions that a module's descriptor names, and the
/// frames of all functions.
///
/// # Errors
/// When the file is no module, or its descriptor makes no sense.
pub fn prove(bytes: &[u8]) -> Result<Outcome> {
    let module = Module::parse(bytes)?;
    let convention = module.convention()?;
    let functions = module.replacements()?;
    Ok(judge(
        &module,
        convention,
        &functions,
        module.functions().iter(),
    ))
}

/// Proves the functions of these symbols, in a relocatable file without a
/// descriptor, as functions of a convention.
///
/// # Errors
/// When the file is none, or has no such function.
pub fn prove_functions(bytes: &[u8], names: &[&str], convention: Convention) -> Result<Outcome> {
    let module = Module::parse(bytes)?;
    let find = |name: &&str| {
        let mut functions = module.functions().iter();
        let found = functions.find(|code| code.name == *name);
        found.with_context(|| format!("there is no function {name}"))
    };
    let functions = names.iter().map(find).collect::<Result<Vec<_>>>()?;
    Ok(judge(
        &module,
        convention,
        &functions,
        functions.iter().copied(),
    ))
}

/// Judges replacement functions, and the frames of `all` functions.
fn judge<'m>(
    module: &'m Module<'_>,
    convention: Convention,
    functions: &[&Code],
    all: impl Iterator<Item = &'m Code>,
) -> Outcome {
    let diverging = diverge::diverging(module, &DIVERGING);
    let without_toc = convention == Convention::Pcrel;
    let mut violations = Vec::new();
    for code in functions {
        let ways = || flow::check(module, code, &diverging, &DIVERGING, without_toc);
        violations.extend(match convention {
            Convention::Plain => Vec::new(),
            Convention::Epilogue | Convention::Pcrel => ways(),
            Convention::AsPosted => posted::unexpected(module, code, ways()),
        });
    }
    let rests_on_hand_off = matches!(convention, Convention::Epilogue | Convention::Pcrel);
    for code in all {
        violations.extend(frames::check(module, code));
        if rests_on_hand_off {
            violations.extend(direct::check(module, code, functions));
        }
    }
    match convention {
        _ if !violations.is_empty() => Outcome::Violated(violations),
        Convention::Epilogue | Convention::Pcrel => Outcome::Proved(functions.len()),
        Convention::Plain => Outcome::NotNeeded,
        Convention::AsPosted => Outcome::FailsAsPosted(functions.len()),
    }
}
