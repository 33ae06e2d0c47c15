//! Shows that the replacement functions of a linked module keep the return
//! convention `epilogue` and check the stack, and that no function of it opens more
//! stack than the check allows for.
//!
//! Such a function must bring its caller's r2 back before it returns, from the
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
//! - it returns with the r1 and to the address that it was called with;
//! - with its frame open, and before every call and return, it has trapped if r1 was
//!   below the running stack's floor ([`klp::stack`]).
//!
//! And for every function of the module, replacement or not: all that its
//! instructions open together is no larger than [`klp::stack::MOST_FRAME`], so that
//! none steps over the room below the floor.
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
mod diverge;
mod extended;
mod flow;
mod frames;
mod insn;
mod module;
mod rule;
mod state;
mod step;

pub use rule::{Rule, Violation};

use anyhow::{Context, Result};
use klp::Convention;
use module::{Code, Module};

/// The kernel's exported functions that never return.
pub const DIVERGING: [&str; 1] = ["klp_panic"];

/// What became of the proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The module's convention asks nothing of its functions, and they keep what
    /// is asked of all.
    NotNeeded,
    /// All replacement functions keep the rules; so many there are.
    Proved(usize),
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
    let outcome = judge(&module, &module.replacements()?, module.functions().iter());
    Ok(match (convention, outcome) {
        (Convention::Epilogue, outcome) => outcome,
        (Convention::Plain, Outcome::Violated(mut violations)) => {
            violations.retain(|violation| violation.rule.is_about_stack());
            match violations.is_empty() {
                true => Outcome::NotNeeded,
                false => Outcome::Violated(violations),
            }
        }
        (Convention::Plain, _) => Outcome::NotNeeded,
    })
}

/// Proves the functions of these symbols, in a relocatable file without a
/// descriptor.
///
/// # Errors
/// When the file is none, or has no such function.
pub fn prove_functions(bytes: &[u8], names: &[&str]) -> Result<Outcome> {
    let module = Module::parse(bytes)?;
    let find = |name: &&str| {
        let mut functions = module.functions().iter();
        let found = functions.find(|code| code.name == *name);
        found.with_context(|| format!("there is no function {name}"))
    };
    let functions = names.iter().map(find).collect::<Result<Vec<_>>>()?;
    Ok(judge(&module, &functions, functions.iter().copied()))
}

/// Judges replacement functions, and the frames of `all` functions.
fn judge<'m>(
    module: &'m Module<'_>,
    functions: &[&Code],
    all: impl Iterator<Item = &'m Code>,
) -> Outcome {
    let diverging = diverge::diverging(module, &DIVERGING);
    let violations: Vec<Violation> = functions
        .iter()
        .flat_map(|code| flow::check(module, code, &diverging, &DIVERGING))
        .chain(all.flat_map(|code| frames::check(module, code)))
        .collect();
    if violations.is_empty() {
        Outcome::Proved(functions.len())
    } else {
        Outcome::Violated(violations)
    }
}
