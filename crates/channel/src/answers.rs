//! What answers carry: JSON.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// The kernel that answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hello {
    /// The version of the [frames](crate::VERSION).
    pub version: u8,
    /// The linker's build id, in hexadecimal.
    pub build_id: String,
    /// The image's name, such as `klplab`.
    pub image: String,
    /// The variant in use.
    pub variant: String,
    /// The processor, such as `POWER9`.
    pub processor: String,
    /// How many CPUs run the kernel.
    pub cpus: u32,
    /// The patches that are enabled or in transition, oldest first.
    pub patches: Vec<String>,
    /// The most bytes that a module may have.
    pub most_bytes: u32,
}

/// How far a patch is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its module is loaded, and changes nothing.
    Loaded,
    /// Threads are switching to it.
    Enabling,
    /// All threads use it.
    Enabled,
    /// Threads are going back.
    Disabling,
}

/// A patch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PatchStatus {
    /// Its module's name.
    pub name: String,
    /// How far it is.
    pub state: State,
}

/// A thread in a transition.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ThreadStatus {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// The CPU that it runs on, or ran on last.
    pub cpu: u32,
    /// Whether it has switched.
    pub switched: bool,
    /// What blocks it, in words; empty if nothing does.
    pub why: String,
    /// The function on its stack that blocks it; empty if it is not one.
    pub function: String,
}

/// The transition that runs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Transition {
    /// Its number.
    pub number: u64,
    /// The patch that it is about.
    pub patch: String,
    /// Whether the patch is enabled when it has ended.
    pub enables: bool,
    /// Whether it was turned round.
    pub reversed: bool,
    /// How many threads have switched.
    pub switched: u32,
    /// How many threads there are.
    pub threads: u32,
    /// The threads, first those that have not switched; as many as an answer has room for.
    pub rows: Vec<ThreadStatus>,
}

/// Patches, and what threads make of them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Status {
    /// The modules that are loaded, in the order in which they came; as many as an answer has room
    /// for.
    pub patches: Vec<PatchStatus>,
    /// The transition that runs.
    pub transition: Option<Transition>,
}

/// Writes an answer to `room`; none if it is too long.
pub fn to_json<'a>(answer: &impl Serialize, room: &'a mut [u8]) -> Option<&'a [u8]> {
    let used = serde_json_core::to_slice(answer, room).ok()?;
    Some(&room[..used])
}
