//! What is to be seen of a transition: who has gone over and how, and who holds it
//! up and why.

use super::registry::REGISTRY;
use alloc::{string::String, string::ToString, sync::Arc, vec::Vec};
use consistency::Direction;
use core::fmt;
use machine::{arch, symbols::Path, sync::Hook};
use thread::{
    Thread,
    backtrace::{self, Unreliable},
};

/// Why a thread can't go over yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// A function that is being left is on its stack.
    Function {
        /// Its global entry.
        function: u64,
    },
    /// Its stack can't be relied on.
    Unreliable(Unreliable),
    /// It is the one that asks, and only it can tell.
    Running,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function { function } => write!(f, "{} is on its stack", Path(*function)),
            Self::Unreliable(reason) => write!(f, "{reason}"),
            Self::Running => f.write_str("it is running"),
        }
    }
}

/// How a thread has gone over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// By itself, at a safe point.
    SafePoint,
    /// Asleep, or waiting for its turn, with a clean stack.
    Asleep,
    /// It was the one that looked, and its own stack was clean.
    Itself,
    /// By force.
    Forced,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SafePoint => "at a safe point",
            Self::Asleep => "asleep with a clean stack",
            Self::Itself => "looking at its own stack",
            Self::Forced => "by force",
        })
    }
}

/// What happens to patches and threads, for an observer.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A transition has begun.
    Started {
        /// The patch.
        patch: &'a str,
        /// Whether it comes or goes.
        direction: Direction,
    },
    /// A thread has gone over.
    Switched {
        /// The thread.
        thread: &'a Thread,
        /// How.
        how: How,
    },
    /// The transition goes the other way round from now on.
    Reversed {
        /// The patch.
        patch: &'a str,
    },
    /// The transition has ended.
    Ended {
        /// The patch.
        patch: &'a str,
        /// Whether the patch is enabled now.
        enabled: bool,
    },
}

/// Told of events as they happen, by whoever makes them, in the order in which they
/// take effect: a switch or a reversal is told before anything else can run, with
/// interrupts off. So it must be quick, and must not wait.
pub type Observer = fn(&Event<'_>);

static OBSERVER: Hook<Observer> = Hook::new();

/// Sets who is told, or that nobody is.
pub fn observe(observer: Option<Observer>) {
    OBSERVER.set(observer);
}

pub(super) fn tell(event: &Event<'_>) {
    if let Some(observer) = OBSERVER.get() {
        observer(event);
    }
}

/// The transition that runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Running {
    /// Its number.
    pub number: u64,
    /// The patch.
    pub patch: String,
    /// Whether it comes or goes.
    pub direction: Direction,
    /// Whether it goes the other way round.
    pub reversed: bool,
}

/// The transition that runs, if one does.
#[must_use]
pub fn running() -> Option<Running> {
    let registry = REGISTRY.lock();
    let transition = registry.model.transition()?;
    Some(Running {
        number: transition.number(),
        patch: registry.by_id(transition.patch())?.name().to_string(),
        direction: transition.direction(),
        reversed: transition.reversed(),
    })
}

/// How far a thread is in the running transition.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The thread.
    pub thread: Arc<Thread>,
    /// Whether it has gone over.
    pub switched: bool,
    /// If not, why.
    pub held: Option<Held>,
}

/// How far each thread is, by number; nothing while no transition runs.
#[must_use]
pub fn progress() -> Vec<Progress> {
    let Some(crossing) = REGISTRY.lock().crossing.clone() else {
        return Vec::new();
    };
    let look = |thread: Arc<Thread>| {
        let off = arch::interrupts_off();
        let switched = crossing.is_done(thread.universe());
        let held = if switched {
            None
        } else {
            held(&thread, &crossing.leaving)
        };
        drop(off);
        Progress {
            thread,
            switched,
            held,
        }
    };
    thread::all().map(look).collect()
}

/// What keeps a thread from going over now. Interrupts are off.
pub(super) fn held(thread: &Thread, leaving: &consistency::Ranges) -> Option<Held> {
    let is_me = thread::with_current(Thread::id) == Some(thread.id());
    let found = if is_me {
        backtrace::check_running(thread, leaving)
    } else {
        // SAFETY: interrupts are off, and the thread is not the running one.
        unsafe { backtrace::check(thread, leaving) }
    };
    match found {
        Ok(None) => None,
        Ok(Some(function)) => Some(Held::Function { function }),
        Err(reason) => Some(Held::Unreliable(reason)),
    }
}
