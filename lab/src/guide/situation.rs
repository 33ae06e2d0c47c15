//! How calls of the function go when it is stepped: what is loaded, enabled and
//! attached beforehand, and taken away again.

use super::{super::fixtures, known::Known};
use crate::bench::Busy;
use alloc::{format, string::String};
use core::fmt;
use ftrace::{Flags, Ops, Site};
use layout::CallFrame;
use livepatch::Options;
use machine::log;

/// How calls go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// Nothing is changed: as they go now.
    AsIs,
    /// By the short way: the patch is enabled, and nothing moves.
    Settled,
    /// By the trampoline: a transition runs, and this thread has switched.
    Transition,
    /// By the trampoline, with a tracer besides.
    Traced,
    /// To the old function: nothing is enabled.
    Rest,
}

impl Way {
    /// Which of two results, the old function's and the new one's, a call has; none if
    /// that is not this way's to say.
    pub fn answer(self, [old, new]: [u64; 2]) -> Option<u64> {
        match self {
            Self::AsIs => None,
            Self::Settled | Self::Transition | Self::Traced => Some(new),
            Self::Rest => Some(old),
        }
    }
}

impl From<bootargs::Way> for Way {
    fn from(way: bootargs::Way) -> Self {
        match way {
            bootargs::Way::Settled => Self::Settled,
            bootargs::Way::Transition => Self::Transition,
            bootargs::Way::Traced => Self::Traced,
            bootargs::Way::Rest => Self::Rest,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AsIs => "as-is",
            Self::Settled => "settled",
            Self::Transition => "transition",
            Self::Traced => "traced",
            Self::Rest => "rest",
        })
    }
}

/// The tracer.
static TRACER: Ops = Ops::new("guide", traced, Flags::empty());

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn traced(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {}

/// What was set up, until it is dropped.
pub struct Situation {
    patch: Option<&'static str>,
    busy: Option<Busy>,
    is_traced: bool,
}

fn text(error: impl fmt::Display) -> String {
    format!("{error}")
}

impl Situation {
    /// Sets everything up.
    ///
    /// # Errors
    /// When something is refused; nothing has changed then.
    pub fn new(known: &Known, site: &Site, way: Way) -> Result<Self, String> {
        let mut situation = Self {
            patch: None,
            busy: None,
            is_traced: false,
        };
        if matches!(way, Way::AsIs | Way::Rest) {
            return Ok(situation);
        }
        let name = known.module;
        let file = loader::find_file(name)?;
        if way == Way::Transition {
            // Off the CPU without having given way: the transition waits for it.
            situation.busy = Some(Busy::start()?);
        }
        livepatch::load(file.bytes, Options::default()).map_err(text)?;
        situation.patch = Some(name);
        if way == Way::Transition {
            fixtures::switch_side()?;
            if livepatch::running().is_none() {
                return Err("the transition has ended already".into());
            }
        } else {
            livepatch::wait();
        }
        if way == Way::Traced {
            ftrace::register_at(&TRACER, site).map_err(text)?;
            situation.is_traced = true;
        }
        Ok(situation)
    }
}

impl Drop for Situation {
    fn drop(&mut self) {
        if self.is_traced
            && let Err(error) = ftrace::unregister(&TRACER)
        {
            log::error!("{error}");
        }
        if let Some(Err(error)) = self.busy.take().map(Busy::end) {
            log::error!("{error}");
        }
        // A transition that was not started here need not end.
        let Some(patch) = self.patch else {
            return;
        };
        livepatch::wait();
        if let Err(error) = livepatch::unload(patch) {
            log::error!("{error}");
        }
    }
}
