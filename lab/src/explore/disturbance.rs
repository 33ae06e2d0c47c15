//! What can happen to a call, between any two of its instructions.

use super::{
    PATCH, SECOND,
    calls::{self, Caller},
    other_cpu, racy, situation,
    threads::{self, Disturbed, Order},
    tracers::{At, Kind, Tracer},
};
use alloc::{format, string::String};
use core::fmt;
use livepatch::{Options, Status};
use loader::ModuleError;
use machine::{arch, time};

/// Something that happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disturbance {
    /// Another thread makes the same call.
    Switch,
    /// A patch is enabled.
    Enable,
    /// The patch is disabled.
    Disable,
    /// A tracer is attached and detached; if one is attached, the other way round.
    Trace,
    /// A tracer of the kernel's is attached, and stays.
    Comes(Tracer),
    /// One that was attached beforehand is detached.
    Goes(Tracer),
    /// An interrupt comes; its handler makes the same call.
    Tick,
    /// The patch is disabled, and its module unloaded as soon as that is possible.
    Unload,
    /// The running transition is turned round.
    Reverse,
    /// The thread that blocks the running transition leaves.
    End,
    /// The call's thread goes on on another CPU; on this one, another thread makes the same
    /// call.
    Move,
    /// A control: both words of the site are written at once.
    BothWords,
    /// A control: the code that the site leads to is freed at once.
    FreeAtOnce,
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Switch => "another thread's call",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Trace => "tracer on and off",
            Self::Comes(tracer) => return write!(f, "{tracer} comes"),
            Self::Goes(tracer) => return write!(f, "{tracer} goes"),
            Self::Tick => "interrupt's call",
            Self::Unload => "unload",
            Self::Reverse => "reverse",
            Self::End => "end of the transition",
            Self::Move => "another CPU takes the call up",
            Self::BothWords => "both words written",
            Self::FreeAtOnce => "code freed at once",
        })
    }
}

impl Disturbance {
    /// Whether it is another call.
    pub fn makes_call(self) -> bool {
        matches!(self, Self::Switch | Self::Tick | Self::Move)
    }

    /// The tracer that is attached before the call is made.
    pub fn beforehand(self) -> Option<Tracer> {
        match self {
            Self::Goes(tracer) => Some(tracer),
            _ => None,
        }
    }

    /// Whether it can happen where interrupts are off: on another CPU, which they do not keep
    /// from anything.
    pub fn comes_when_masked(self) -> bool {
        other_cpu::exists() && self != Self::Move
    }

    /// Whether it changes, in its own thread, where calls go.
    pub fn changes_ways(self) -> bool {
        match self {
            Self::Trace | Self::Enable | Self::Disable | Self::Unload | Self::Reverse => true,
            // One tracer is as good as another.
            Self::Comes(tracer) | Self::Goes(tracer) => tracer == Tracer(Kind::Function, At::Old),
            _ => false,
        }
    }

    /// Whether the partner does it, and not the stop's handler.
    pub fn is_partners(self) -> bool {
        !matches!(self, Self::Tick | Self::BothWords)
    }
}

/// Does it: what the partner is there for.
pub fn make(disturbance: Disturbance) -> Disturbed {
    match disturbance {
        Disturbance::Switch => {
            let expected = calls::expectation();
            return Ok(Some(calls::call(Caller::Partner, expected)));
        }
        Disturbance::Enable => {
            let is_there = livepatch::find(PATCH).is_some();
            enable(if is_there { SECOND } else { PATCH })?;
        }
        Disturbance::Disable => livepatch::disable(PATCH).map_err(text)?,
        Disturbance::Trace => {
            if situation::is_traced() {
                situation::untrace()?;
                situation::trace()?;
            } else {
                situation::trace()?;
                situation::untrace()?;
            }
        }
        Disturbance::Comes(tracer) => tracer.attach()?,
        Disturbance::Goes(tracer) => tracer.detach()?,
        Disturbance::Unload => {
            if let Some((_, Status::Disabling)) = livepatch::find(PATCH) {
                // It waits for that transition, which the holder may block.
                threads::HOLDER.give(Order::Leave);
            }
            if livepatch::find(PATCH).is_some() {
                livepatch::disable(PATCH).map_err(text)?;
                livepatch::wait();
            }
            // As soon as it is possible: until then the disturbed call goes on, an
            // instruction at a time.
            loop {
                match loader::unload(PATCH) {
                    Err(ModuleError::Running(_)) => thread::yield_now(),
                    result => break result.map_err(text)?,
                }
            }
        }
        Disturbance::Reverse => livepatch::reverse().map_err(text)?,
        Disturbance::End => {
            threads::HOLDER.give(Order::Leave);
            livepatch::wait();
        }
        Disturbance::Move => {
            // The stepped call has stopped this CPU's ticks.
            time::start();
            let expected = calls::expectation();
            let call = calls::call(Caller::Partner, expected);
            while !threads::is_finished() {
                arch::spin();
            }
            return Ok(Some(call));
        }
        Disturbance::FreeAtOnce => racy::free_at_once()?,
        Disturbance::Tick | Disturbance::BothWords => {}
    }
    Ok(None)
}

/// Enables the patch of a loaded module.
///
/// # Errors
/// When it is not loaded, or can't be enabled.
pub fn enable(name: &str) -> Result<(), String> {
    let module = loader::find(name).ok_or_else(|| format!("`{name}` is not loaded"))?;
    livepatch::enable(&module, Options::default())
        .map(drop)
        .map_err(text)
}

/// An error as a sentence.
pub fn text(error: impl fmt::Display) -> String {
    format!("{error}")
}
