//! Variants: ways to hand a call over to a replacement function, one a file. The
//! question behind them: A calls B locally and minds its own r2 neither before nor
//! after; the call reaches C, which has a TOC of its own; who gives A its r2 back?

mod epilogue;

use super::LivepatchError;
use crate::ftrace::HandOff;
use alloc::string::ToString;
use core::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};
use klp::Convention;

/// One way.
#[derive(Debug)]
pub struct Variant {
    /// What it is called.
    pub name: &'static str,
    /// The idea, in a sentence.
    pub about: &'static str,
    /// The last instructions before C.
    pub hand_off: HandOff,
    /// What C does before it returns.
    pub convention: Convention,
}

/// All there are. A new one is a file and a line here. The first is the default.
pub static VARIANTS: &[&Variant] = &[&epilogue::VARIANT];

/// The variant with a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Variant> {
    VARIANTS
        .iter()
        .copied()
        .find(|variant| variant.name == name)
}

/// The place in [`VARIANTS`] of the one in use.
static CURRENT: AtomicUsize = AtomicUsize::new(0);

/// The one in use.
#[must_use]
pub fn current() -> &'static Variant {
    VARIANTS[CURRENT.load(Ordering::Relaxed)]
}

/// Why another variant is not used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ChooseError {
    /// There is none of this name.
    Unknown,
    /// A patch is enabled, by the variant in use.
    InUse(LivepatchError),
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
            Self::InUse(error) => error.fmt(f),
        }
    }
}

/// Uses a variant from now on.
///
/// # Errors
/// When there is none of this name, or a patch is enabled: its functions were handed
/// to their hand-off when they were registered.
pub fn choose(name: &str) -> Result<(), ChooseError> {
    let place = VARIANTS.iter().position(|variant| variant.name == name);
    let place = place.ok_or(ChooseError::Unknown)?;
    if let Some((patch, _)) = super::patches().first() {
        let patch = patch.name().to_string();
        return Err(ChooseError::InUse(LivepatchError::Enabled(patch)));
    }
    CURRENT.store(place, Ordering::Relaxed);
    Ok(())
}
