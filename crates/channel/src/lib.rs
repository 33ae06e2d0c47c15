//! What host and kernel say to each other over the channel: frames, and what is in them.
//!
//! The channel is a line of bytes in both directions: a virtual terminal of the kernel's, and a
//! socket on the host. The host asks, the kernel answers: each frame that the kernel takes in, a
//! damaged one too, gets one answer with its sequence number.
//!
//! A [frame](Frame) in bytes, numbers with the least significant byte first:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | [`MAGIC`] |
//! | 1 | [`VERSION`] |
//! | 1 | [`Kind`] |
//! | 2 | 0 |
//! | 4 | sequence number: the sender's choice, but not 0 |
//! | 4 | length of the payload |
//! | 4 | CRC-32 of the 16 bytes before |
//! | length | payload |
//! | 4 | CRC-32 of all bytes before |
//!
//! The header has a checksum of its own, so that a length is believed, and memory asked for, only
//! if it is what the sender wrote.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod answers;
mod decoder;
mod frame;
#[cfg(test)]
mod tests;

pub use answers::{Hello, PatchStatus, State, Status, ThreadStatus, Transition, to_json};
pub use decoder::{Damage, Decoder, Event};
pub use frame::{Frame, HEADER_BYTES, Kind, MAGIC, TRAILER_BYTES, VERSION, encode};
pub use serde::Serialize;

/// The longest payload of a request: the largest module that is taken, in bytes.
pub const MOST_BYTES: usize = 1024 * 1024;

/// The longest payload of an answer, in bytes. QEMU writes an answer sixteen bytes at a time, and
/// its guest stands still while the socket takes no more. So all of an answer has to fit into the
/// socket's buffer, which on Linux takes about 270 such pieces: a client that is stopped stops no
/// guest.
pub const MOST_ANSWER: usize = 3072;
