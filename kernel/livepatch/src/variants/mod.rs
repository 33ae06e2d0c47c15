//! Variants: ways to hand a call over to a replacement function, one a file. The
//! question behind them: A calls B locally and minds its own r2 neither before nor
//! after; the call reaches C, which has a TOC of its own; who gives A its r2 back?
//!
//! A variant's file has the same parts in the same order as the others', so that two
//! can be laid side by side: history and idea, known price, the [`Variant`], then
//! its assembly, each entry under its contract. A new one is a file and two lines here,
//! one of them in [`VARIANTS`]: `make new-variant NAME=x` begins the file.

mod epilogue;
mod epilogue_as_posted;
mod livepatch_stack;
mod mini_frame;
mod pcrel;
pub mod racy;
mod shared_toc;

use super::registry;
use alloc::string::String;
use core::fmt;
use ftrace::HandOff;
use klp::{Convention, VariantNote};
use loader::TocChoice;
use machine::{mmu, sync::IrqLock};
use report::Judgement;
use thread::backtrace::{self, Returns};
use tracing::graph;

/// Which TOC a patch module gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Toc {
    /// One of its own.
    Own,
    /// The kernel's.
    Kernels,
    /// None: its code is PC-relative.
    None,
}

/// One way.
#[derive(Debug)]
pub struct Variant {
    /// What it is called.
    pub name: &'static str,
    /// The idea, in a sentence.
    pub about: &'static str,
    /// What C does before it returns.
    pub convention: Convention,
    /// The last instructions before C.
    pub hand_off: HandOff,
    /// Which TOC C has.
    pub toc: Toc,
    /// Whether functions of modules can be patched, not the kernel's alone.
    pub patches_modules: bool,
    /// How C returns, if not to A, and where the real return addresses are.
    pub returns: Option<&'static Returns>,
    /// Whether this machine can do it, and if not, why.
    pub needs: fn() -> Result<(), &'static str>,
    /// Whether it gives A its r2 back at all, so that compiled code can rest on it.
    pub gives_back_toc: bool,
    /// Why no call returns where address 0 has no page, if that is so; and the cases in which it is not,
    /// because C ends in another way.
    pub needs_page_zero: Option<(&'static str, &'static [&'static str])>,
    /// What it expects of itself in conformance cases, as exceptions to a pass.
    pub expects: &'static [Exception],
}

/// A case, or a pattern of several with `*`; how the variant does in it; and why.
pub type Exception = (&'static str, Judgement, &'static str);

impl Variant {
    /// What most variants have in common.
    const BASIC: Self = Self {
        name: "",
        about: "",
        convention: Convention::Plain,
        hand_off: || &[],
        toc: Toc::Own,
        patches_modules: true,
        returns: None,
        needs: || Ok(()),
        gives_back_toc: true,
        needs_page_zero: None,
        expects: &[],
    };

    /// Whether there is something that it says it can't do.
    pub fn has_a_price(&self) -> bool {
        let fails = |(_, judgement, _): &Exception| *judgement == Judgement::Fail;
        !self.gives_back_toc || self.expects.iter().any(fails)
    }

    /// What it expects of itself in a conformance case, and why if it is no pass. The
    /// first exception that names the case counts.
    #[must_use]
    pub fn expectation(&self, case: &str) -> (Judgement, &'static str) {
        let mut exceptions = self.expects.iter();
        let found = exceptions.find(|(pattern, ..)| glob::matches(pattern, case));
        let expected = found.map_or((Judgement::Pass, ""), |&(_, judgement, why)| {
            (judgement, why)
        });
        match self.needs_page_zero {
            Some((why, others))
                if self.faults()
                    && expected.0 != Judgement::NotApplicable
                    && !others.iter().any(|pattern| glob::matches(pattern, case)) =>
            {
                (Judgement::Fail, why)
            }
            _ => expected,
        }
    }

    /// Whether no call returns, as addresses are translated now.
    #[must_use]
    pub fn faults(&self) -> bool {
        self.needs_page_zero.is_some() && mmu::is_on()
    }
}

/// All there are. The first is the default.
pub static VARIANTS: &[&Variant] = &[
    &epilogue::VARIANT,
    &epilogue_as_posted::VARIANT,
    &mini_frame::VARIANT,
    &livepatch_stack::VARIANT,
    &shared_toc::VARIANT,
    &pcrel::VARIANT,
];

/// The same for the host, in the kernel's file: it packs the modules that a variant
/// asks for.
#[used]
#[unsafe(link_section = ".variants")]
static NOTES: [VariantNote; VARIANTS.len()] = {
    let mut notes = [VariantNote::new("", Convention::Plain); VARIANTS.len()];
    let mut index = 0;
    while index < notes.len() {
        let variant = VARIANTS[index];
        notes[index] = VariantNote::new(variant.name, variant.convention);
        index += 1;
    }
    notes
};

/// The variant with a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Variant> {
    VARIANTS
        .iter()
        .copied()
        .find(|variant| variant.name == name)
}

/// The one in use.
static CURRENT: IrqLock<&Variant> = IrqLock::named("livepatch::CURRENT", VARIANTS[0]);

/// The one in use.
#[must_use]
pub fn current() -> &'static Variant {
    *CURRENT.lock()
}

/// Why a variant was not chosen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ChooseError {
    /// There is none of this name.
    Unknown,
    /// A patch is enabled that was handed over by another.
    InUse,
    /// A thread is in this module, which was handed over by another.
    Running(String),
    /// This machine can't do it.
    Impossible {
        /// The variant.
        variant: &'static str,
        /// Why not.
        reason: &'static str,
    },
}

impl fmt::Display for ChooseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => {
                f.write_str("unknown variant; allowed: ")?;
                VARIANTS
                    .iter()
                    .enumerate()
                    .try_for_each(|(index, variant)| {
                        let before = if index == 0 { "" } else { ", " };
                        write!(f, "{before}{}", variant.name)
                    })
            }
            Self::InUse => f.write_str("a patch is enabled that another variant has handed over"),
            Self::Running(module) => write!(
                f,
                "a thread is still in the forced patch `{module}`, which another variant has handed over"
            ),
            Self::Impossible { variant, reason } => {
                write!(f, "variant `{variant}` is not possible here: {reason}")
            }
        }
    }
}

/// Chooses the variant for all patches from now on.
///
/// # Errors
/// [`ChooseError`]; nothing has changed then.
pub fn choose(name: &str) -> Result<&'static Variant, ChooseError> {
    let variant = find(name).ok_or(ChooseError::Unknown)?;
    adopt(variant)?;
    Ok(variant)
}

/// The same for a variant that need not be in [`VARIANTS`]: a control.
///
/// # Errors
/// [`ChooseError`]; nothing has changed then.
pub fn adopt(variant: &'static Variant) -> Result<(), ChooseError> {
    (variant.needs)().map_err(|reason| ChooseError::Impossible {
        variant: variant.name,
        reason,
    })?;
    let lock = registry::Lock::wait().map_err(|_| ChooseError::InUse)?;
    if !registry::REGISTRY.lock().functions.is_empty() {
        return Err(ChooseError::InUse);
    }
    // Only of a forced patch: a transition waits until threads have left the others.
    let pinned = registry::REGISTRY.lock().pinned.clone();
    if let Some(module) = pinned.iter().find(|module| loader::is_running(module)) {
        return Err(ChooseError::Running(module.name.clone()));
    }
    *CURRENT.lock() = variant;
    backtrace::set_returns(variant.returns);
    graph::follow(variant.convention);
    let toc = match variant.toc {
        Toc::Kernels => TocChoice::Kernels,
        Toc::Own | Toc::None => TocChoice::Own,
    };
    loader::expect(variant.convention, toc);
    drop(lock);
    Ok(())
}
