//! What is to be seen of a transition: which threads have switched and how, and which ones
//! block it and why.

use super::{
    registry::{PENDING, REGISTRY},
    switching::{self, Blocked},
};
use alloc::{string::String, string::ToString, sync::Arc, vec::Vec};
use consistency::Direction;
use core::fmt;
use machine::sync::Hook;
use thread::Thread;

/// How a thread has switched.
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
    /// A thread has switched.
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

/// Told of events as they happen, by the thread that makes them, in the order in which they
/// take effect: a switch or a reversal is told before anything else can run, with
/// interrupts off. So it must be quick, and must not wait.
pub type Observer = fn(&Event<'_>);

static OBSERVER: Hook<Observer> = Hook::new();

/// Sets the observer, or none.
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

impl Running {
    /// Whether the patch is enabled when it has ended, if it is not turned round once more.
    #[must_use]
    pub fn enables(&self) -> bool {
        (self.direction == Direction::Enable) != self.reversed
    }
}

/// The transition that runs, if one does.
#[must_use]
pub fn running() -> Option<Running> {
    let registry = REGISTRY.lock();
    let transition = registry.model().transition()?;
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
    /// Whether it has switched.
    pub switched: bool,
    /// If not, why.
    pub blocked: Option<Blocked>,
}

/// How far each thread is, by number; nothing while no transition runs.
#[must_use]
pub fn progress() -> Vec<Progress> {
    let Some(pending) = PENDING.lock().clone() else {
        return Vec::new();
    };
    let look = |thread: Arc<Thread>| {
        let switched = switching::has_switched(&thread, &pending);
        let blocked = if switched {
            None
        } else {
            switching::blocked_by(&thread, &pending.leaving)
        };
        Progress {
            thread,
            switched,
            blocked,
        }
    };
    thread::all().map(look).collect()
}
