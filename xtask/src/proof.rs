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
//!   and r2 becomes their sum. Or it is made behind the frame, as where each `blr` was
//!   rewritten to lead there: r1 is the caller's, LR the way back, and r2 becomes
//!   the sum of LR and the word at 12(r1). Then there needn't have been a frame;
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
//! A module that keeps the kernel's TOC ([`klp::info::KERNELS_TOC`]) is `plain`, and of
//! all of its functions it is shown that they never change r2, but for the pair of
//! instructions at a global entry, which make it the kernel's TOC pointer.
//!
//! And for every function of the module, replacement or not: it calls no replacement
//! directly, for only the hand-off chooses the version and leaves the word at 12(r1); it
//! branches to no fixed address of the kernel's, unless it keeps the kernel's TOC; and all that its
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
//! - The functions in [`DIVERGING`] do not return, nor do those of the kernel's that
//!   [`never_return`] names, but for what the module replaces itself.
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
mod toc;

pub use rule::{Rule, Violation};

use anyhow::{Context, Result, ensure};
use diverge::Diverging;
use klp::{Convention, info};
use module::{Code, Module, Place};
use std::collections::{BTreeSet, HashMap};

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
    /// All replacement functions keep the rules; so many there are. If the module keeps the
    /// kernel's TOC, so do all other functions.
    Proved(usize),
    /// The module's convention can't be kept: all replacement functions break it
    /// where they must, and no other rule; so many there are.
    FailsAsPosted(usize),
    /// Some do not.
    Violated(Vec<Violation>),
}

/// What is asked of replacement functions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// To follow a convention, with a TOC of the module's own or none.
    Convention(Convention),
    /// To keep the kernel's TOC in r2, together with all other functions.
    KernelsToc,
}

impl From<Convention> for Asked {
    fn from(convention: Convention) -> Self {
        Self::Convention(convention)
    }
}

/// Proves all replacement functions that a module's descriptor names, and the
/// frames of all functions.
///
/// # Errors
/// When the file is no module, or its descriptor makes no sense.
pub fn prove(bytes: &[u8]) -> Result<Outcome> {
    prove_for(bytes, &BTreeSet::new())
}

/// The same for a module that calls functions of a kernel's at their addresses, by symbols
/// that have these as their values (`SHN_ABS`). `never_return` are the names of those that don't:
/// see [`never_return`]. A call of what the module itself replaces may come to the new
/// function, which then must not return either.
///
/// # Errors
/// As [`prove`].
pub fn prove_for(bytes: &[u8], never_return: &BTreeSet<String>) -> Result<Outcome> {
    let module = Module::parse(bytes)?;
    let asked = asked(&module)?;
    let functions = module.replacements()?;
    let mut replaced = HashMap::new();
    for (old, new) in module.replaced()?.into_iter().zip(&functions) {
        let is_old = |name: &&String| **name == old || kdiff::path(name) == old;
        replaced.extend(
            never_return
                .iter()
                .filter(is_old)
                .map(|name| (name.clone(), new.start)),
        );
    }
    Ok(judge(
        &module,
        asked,
        &functions,
        module.functions().iter(),
        Elsewhere {
            never_return,
            replaced,
        },
    ))
}

/// What is known of functions elsewhere.
struct Elsewhere<'a> {
    /// The names of those that never return, beside [`DIVERGING`].
    never_return: &'a BTreeSet<String>,
    /// Where the new functions are for those of them that the module replaces.
    replaced: HashMap<String, Place>,
}

/// What a module's descriptor asks for.
fn asked(module: &Module<'_>) -> Result<Asked> {
    let convention = module.convention()?;
    if module.flags()? & info::KERNELS_TOC == 0 {
        return Ok(Asked::Convention(convention));
    }
    ensure!(
        convention == Convention::Plain,
        "the module keeps the kernel's TOC, and so must be built in convention `plain`: it is \
         of `{}` (`toc = \"kernel\"` under [package.metadata.klplab] in its manifest builds it so)",
        convention.name()
    );
    Ok(Asked::KernelsToc)
}

/// The functions of a linked kernel that never return, by what their code does: their names,
/// as in its symbol table. Panics are among them.
///
/// # Errors
/// When the file can't be read.
pub fn never_return(kernel: &[u8]) -> Result<BTreeSet<String>> {
    let module = Module::parse(kernel)?;
    let (none, replaced) = (BTreeSet::new(), HashMap::new());
    Ok(Diverging::of(&module, &none, &replaced).names(&module))
}

/// Proves the functions of these symbols, in a relocatable file without a
/// descriptor.
///
/// # Errors
/// When the file is none, or has no such function.
pub fn prove_functions(bytes: &[u8], names: &[&str], asked: impl Into<Asked>) -> Result<Outcome> {
    prove_functions_for(bytes, names, asked, &BTreeSet::new())
}

/// The same where functions of a kernel's are called at their addresses, as in [`prove_for`].
///
/// # Errors
/// As [`prove_functions`].
pub fn prove_functions_for(
    bytes: &[u8],
    names: &[&str],
    asked: impl Into<Asked>,
    never_return: &BTreeSet<String>,
) -> Result<Outcome> {
    let module = Module::parse(bytes)?;
    let find = |name: &&str| {
        let mut functions = module.functions().iter();
        let found = functions.find(|code| code.name == *name);
        found.with_context(|| format!("there is no function {name}"))
    };
    let functions = names.iter().map(find).collect::<Result<Vec<_>>>()?;
    Ok(judge(
        &module,
        asked.into(),
        &functions,
        functions.iter().copied(),
        Elsewhere {
            never_return,
            replaced: HashMap::new(),
        },
    ))
}

/// Judges replacement functions, and what is asked of `all` functions.
fn judge<'m>(
    module: &'m Module<'_>,
    asked: Asked,
    functions: &[&Code],
    all: impl Iterator<Item = &'m Code>,
    elsewhere: Elsewhere<'_>,
) -> Outcome {
    let mut outside = elsewhere.never_return.clone();
    outside.extend(DIVERGING.map(String::from));
    let diverging = Diverging::of(module, &outside, &elsewhere.replaced);
    let convention = match asked {
        Asked::Convention(convention) => convention,
        Asked::KernelsToc => Convention::Plain,
    };
    let without_toc = convention == Convention::Pcrel;
    let mut violations = Vec::new();
    for code in functions {
        let ways = || flow::check(module, code, &diverging, without_toc);
        violations.extend(match convention {
            Convention::Plain => Vec::new(),
            Convention::Epilogue | Convention::Pcrel => ways(),
            Convention::AsPosted => posted::unexpected(module, code, ways()),
        });
    }
    let keeps_toc = asked == Asked::KernelsToc;
    for code in all {
        violations.extend(frames::check(module, code));
        if keeps_toc {
            violations.extend(toc::check(module, code));
        }
        if keeps_toc || matches!(convention, Convention::Epilogue | Convention::Pcrel) {
            violations.extend(direct::check(module, code, functions, keeps_toc));
        }
    }
    match convention {
        _ if !violations.is_empty() => Outcome::Violated(violations),
        _ if keeps_toc => Outcome::Proved(functions.len()),
        Convention::Epilogue | Convention::Pcrel => Outcome::Proved(functions.len()),
        Convention::Plain => Outcome::NotNeeded,
        Convention::AsPosted => Outcome::FailsAsPosted(functions.len()),
    }
}
