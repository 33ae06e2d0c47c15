//! Live patches: from a change of the kernel's source into the kernel that runs.

pub mod channel;
