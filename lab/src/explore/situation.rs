//! What a call comes into: which way leads from its site, and on which side of which
//! transition its thread is.

use super::{
    PATCH, SECOND, controls,
    disturbance::{Disturbance, enable, text},
    functions, other_cpu, racy, threads,
    tracers::{
        self,
        At::{Both, New, Old},
        Kind::{Function, Graph, Hits},
        Tracer,
    },
};
use alloc::{format, string::String};
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use ftrace::{Flags, Ops, Site};
use layout::CallFrame;

/// A situation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Situation {
    /// Nothing is attached to the site.
    Rest,
    /// A tracer is.
    Traced,
    /// The patch is enabled, and calls take the short way.
    Settled,
    /// The same with a tracer, so that calls take the long way.
    SettledTraced,
    /// The patch is being enabled, and the thread has not switched.
    EnablingOld,
    /// The same, and it has.
    EnablingNew,
    /// The patch is being disabled, and the thread has not switched.
    DisablingOld,
    /// The same, and it has.
    DisablingNew,
    /// A control: the site holds two nops.
    TwoNops,
    /// A control: settled and traced, and the kernel does not wait for other CPUs.
    OneLook,
    /// A control: settled, by a copy of the stub.
    Copied,
}

use Disturbance::{
    BothWords, Disable, Enable, End, FreeAtOnce, Move, Reverse, Switch, Tick, Trace, Unload,
};

impl Situation {
    /// All but the control's.
    pub const ALL: &'static [Self] = &[
        Self::Rest,
        Self::Traced,
        Self::Settled,
        Self::SettledTraced,
        Self::EnablingOld,
        Self::EnablingNew,
        Self::DisablingOld,
        Self::DisablingNew,
    ];

    /// What can happen in it.
    pub fn disturbances(self) -> impl Iterator<Item = Disturbance> {
        let tracers = |at: &'static [Tracer]| at.iter().copied();
        let (come, go) = match self {
            Self::TwoNops | Self::OneLook | Self::Copied => (NONE, NONE),
            _ if self.comes_to_new() => (ON_ALL, SOME_ON_ALL),
            _ => (ON_OLD, ON_OLD),
        };
        let several = other_cpu::exists();
        let usual = self.usual_disturbances().iter().copied();
        let usual = usual.filter(move |one| !several || *one != Tick);
        let is_control = matches!(self, Self::TwoNops | Self::OneLook | Self::Copied);
        let usual = usual.chain((several && !is_control).then_some(Move));
        let usual = usual.chain(tracers(come).map(Disturbance::Comes));
        usual.chain(tracers(go).map(Disturbance::Goes))
    }

    fn usual_disturbances(self) -> &'static [Disturbance] {
        match self {
            Self::Rest | Self::Traced => &[Switch, Tick, Trace, Enable],
            Self::Settled | Self::SettledTraced => &[Switch, Tick, Trace, Enable, Disable, Unload],
            Self::EnablingOld => &[Switch, Tick, Trace, Disable, Unload, Reverse],
            Self::EnablingNew => &[Switch, Tick, Trace, Disable, Unload, Reverse, End],
            Self::DisablingOld => &[Switch, Tick, Trace, Unload, Reverse],
            Self::DisablingNew => &[Switch, Tick, Trace, Unload, Reverse, End],
            Self::TwoNops => &[BothWords],
            Self::OneLook => &[Enable, Disable],
            Self::Copied => &[FreeAtOnce],
        }
    }

    /// Whether the new function is on the way of the call.
    fn comes_to_new(self) -> bool {
        matches!(
            self,
            Self::Settled | Self::SettledTraced | Self::EnablingNew | Self::DisablingOld
        )
    }

    /// Whether even a short run does this at every stop: another call comes upon the
    /// hand-off and the return convention, and nothing else is on the way; or another CPU takes
    /// the call up there; or the two sides of a transition change places.
    pub fn is_explored_in_full(self, disturbance: Disturbance) -> bool {
        match (self, disturbance) {
            (Self::Settled, Switch | Tick | Move) => true,
            (_, Reverse) => !other_cpu::exists(),
            _ => false,
        }
    }

    /// Whether the tracer sees every call.
    pub fn is_traced(self) -> bool {
        matches!(self, Self::Traced | Self::SettledTraced | Self::OneLook)
    }

    /// Whether the thread has switched to the new side of a transition; `None`
    /// without one.
    fn side(self) -> Option<bool> {
        match self {
            Self::EnablingOld | Self::DisablingOld => Some(false),
            Self::EnablingNew | Self::DisablingNew => Some(true),
            _ => None,
        }
    }
}

/// Tracers, for calls that come to the old function alone, and to the new one.
const NONE: &[Tracer] = &[];
const ON_OLD: &[Tracer] = &[Tracer(Function, Old), Tracer(Graph, Old), Tracer(Hits, Old)];
const ON_ALL: &[Tracer] = &[
    Tracer(Function, Old),
    Tracer(Function, New),
    Tracer(Function, Both),
    Tracer(Graph, Old),
    Tracer(Graph, New),
    Tracer(Graph, Both),
    Tracer(Hits, Old),
    Tracer(Hits, New),
    Tracer(Hits, Both),
];
/// Those that are there beforehand make a call some hundred instructions longer. Of the
/// two that leave return addresses alone, one is as good as another.
const SOME_ON_ALL: &[Tracer] = &[
    Tracer(Graph, Old),
    Tracer(Graph, New),
    Tracer(Graph, Both),
    Tracer(Function, Both),
    Tracer(Hits, Both),
];

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rest => "at rest",
            Self::Traced => "traced",
            Self::Settled => "settled",
            Self::SettledTraced => "settled and traced",
            Self::EnablingOld => "enabling, old side",
            Self::EnablingNew => "enabling, new side",
            Self::DisablingOld => "disabling, old side",
            Self::DisablingNew => "disabling, new side",
            Self::TwoNops => "two nops",
            Self::OneLook => "one look",
            Self::Copied => "a copy of the stub",
        })
    }
}

/// The tracer. Guarded, so that the trampoline's guard is on the way too.
static TRACER: Ops = Ops::new("explorer", traced, Flags::empty());
static IS_TRACED: AtomicBool = AtomicBool::new(false);
static HITS: AtomicU64 = AtomicU64::new(0);

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn traced(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    HITS.fetch_add(1, Ordering::Relaxed);
}

/// The site of the function that is called.
///
/// # Errors
/// When it has none, which can't be.
pub fn site() -> Result<Site, String> {
    let function = functions::value as *const () as u64;
    ftrace::find_site(function).ok_or_else(|| "the function has no site".into())
}

/// Whether the tracer is attached.
pub fn is_traced() -> bool {
    IS_TRACED.load(Ordering::Relaxed)
}

/// How many calls the tracer has seen.
pub fn hits() -> u64 {
    HITS.load(Ordering::Relaxed)
}

/// Attaches the tracer.
///
/// # Errors
/// When tracing refuses.
pub fn trace() -> Result<(), String> {
    ftrace::register_at(&TRACER, &site()?).map_err(text)?;
    IS_TRACED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Detaches it.
///
/// # Errors
/// When tracing refuses.
pub fn untrace() -> Result<(), String> {
    ftrace::unregister(&TRACER).map_err(text)?;
    IS_TRACED.store(false, Ordering::Relaxed);
    Ok(())
}

/// Loads a module, unless it is loaded.
///
/// # Errors
/// When the initrd has none, or the loader refuses it.
pub fn load(name: &str) -> Result<(), String> {
    if loader::find(name).is_some() {
        return Ok(());
    }
    let file = loader::find_file(name)?;
    loader::load(file.bytes).map(drop).map_err(text)
}

/// Makes the situation, from one in which nothing is enabled.
///
/// # Errors
/// When something is refused, or the explorer is not on its side.
pub fn set_up(situation: Situation) -> Result<(), String> {
    match situation {
        Situation::Rest => {}
        Situation::TwoNops => controls::write_nops()?,
        Situation::Traced => trace()?,
        Situation::Settled => enable_all_the_way()?,
        Situation::SettledTraced => {
            enable_all_the_way()?;
            trace()?;
        }
        Situation::OneLook => {
            enable_all_the_way()?;
            trace()?;
            racy::take_second_look_out()?;
        }
        Situation::Copied => {
            enable_all_the_way()?;
            racy::settle_by_a_copy()?;
        }
        Situation::EnablingOld | Situation::EnablingNew => {
            hold_up(situation)?;
            enable(PATCH)?;
        }
        Situation::DisablingOld | Situation::DisablingNew => {
            enable_all_the_way()?;
            hold_up(situation)?;
            livepatch::disable(PATCH).map_err(text)?;
        }
    }
    let number = livepatch::running().map(|running| running.number);
    let side = number.map(|number| threads::EXPLORER.patch_state() == number);
    if side == situation.side() {
        Ok(())
    } else {
        Err(format!(
            "{situation} could not be made: the explorer's side is {side:?}"
        ))
    }
}

fn enable_all_the_way() -> Result<(), String> {
    enable(PATCH)?;
    livepatch::wait();
    Ok(())
}

/// Blocks the next transition: by the explorer itself, which can't switch then, or by the
/// holder.
fn hold_up(situation: Situation) -> Result<(), String> {
    threads::enter(if situation.side() == Some(false) {
        &threads::EXPLORER
    } else {
        &threads::HOLDER
    })
}

/// Back to where nothing is enabled, whatever has happened.
///
/// # Errors
/// When something is refused: then nothing can be tried any more.
pub fn take_down() -> Result<(), String> {
    threads::leave()?;
    racy::put_second_look_back()?;
    racy::remove_copy()?;
    tracers::take_down()?;
    livepatch::wait();
    for name in [SECOND, PATCH] {
        if livepatch::find(name).is_some() {
            livepatch::disable(name).map_err(text)?;
            livepatch::wait();
        }
    }
    if is_traced() {
        controls::write_back()?;
        untrace()?;
    }
    for name in [PATCH, SECOND] {
        load(name)?;
    }
    Ok(())
}
