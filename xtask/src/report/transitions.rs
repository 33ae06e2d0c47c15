//! The transitions of a demonstration; `read` takes them from the records of its
//! report.

mod read;

use serde::Deserialize;

/// What a demonstration has reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Demonstration {
    /// The machine that it ran on.
    pub machine: Machine,
    /// Its transitions, in their order.
    pub transitions: Vec<Transition>,
}

/// The machine, as the kernel has found it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Machine {
    /// Name of the processor node in the device tree.
    pub cpu: String,
    /// How the kernel was entered.
    pub entry: String,
    /// All memory, in bytes.
    pub memory_bytes: u64,
    /// Timebase frequency in hertz.
    pub timebase_hz: u64,
    /// Number of processors.
    pub cpus: u32,
    /// Symbols in the kernel's table.
    pub symbols: u32,
}

/// A transition. Times are timebase ticks since its start.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Its number.
    pub number: u64,
    /// The patch.
    pub patch: String,
    /// `enable` or `disable`.
    pub direction: String,
    /// When it was turned round, each time.
    pub turns: Vec<u64>,
    /// When it ended.
    pub end: u64,
    /// Whether the patch was enabled then.
    pub enabled: bool,
    /// What each thread of the demonstration did in it, by number.
    pub lanes: Vec<Lane>,
}

/// A thread in a transition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lane {
    /// Its number.
    pub thread: u32,
    /// Its name.
    pub name: String,
    /// When it switched, or back.
    pub switches: Vec<Switch>,
    /// When it blocked the transition.
    pub blocked: Vec<Blocked>,
}

/// A thread switched, or back.
#[derive(Clone, Debug, PartialEq)]
pub struct Switch {
    /// When.
    pub time: u64,
    /// The CPU that it ran on, or had run on last.
    pub cpu: u32,
    /// How: `safe_point`, `asleep`, `itself` or `forced`.
    pub how: String,
    /// Whether it went back.
    pub back: bool,
}

/// A thread blocked the transition: from when it was first seen to, until it switched or
/// no longer had to.
#[derive(Clone, Debug, PartialEq)]
pub struct Blocked {
    /// When it was first seen.
    pub from: u64,
    /// When that was over.
    pub to: u64,
    /// Why, in the kernel's words.
    pub reason: String,
    /// The function that it was inside of; empty if that was not why.
    pub function: String,
}

impl Demonstration {
    /// How often threads switched or back.
    #[must_use]
    pub fn switches(&self) -> usize {
        self.lanes().map(|lane| lane.switches.len()).sum()
    }

    /// How often threads blocked a transition.
    #[must_use]
    pub fn blocked(&self) -> usize {
        self.lanes().map(|lane| lane.blocked.len()).sum()
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.transitions.iter().flat_map(|one| &one.lanes)
    }
}

#[cfg(test)]
mod tests;
