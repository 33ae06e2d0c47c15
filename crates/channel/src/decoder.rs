//! From bytes as they come to frames.

use crate::{
    Frame, HEADER_BYTES, Kind, MAGIC, TRAILER_BYTES, VERSION,
    frame::{self, Header},
};
use alloc::vec::Vec;
use core::{fmt, ops::Range};

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Damage {
    /// Its header's checksum does not hold.
    Header,
    /// It is of another version.
    Version(u8),
    /// It is longer than it may be.
    TooLong {
        /// Bytes in its payload.
        found: u32,
        /// The most there may be.
        most: usize,
    },
    /// Its checksum does not hold.
    Checksum,
    /// There is no request or answer of this number.
    Kind(u8),
    /// Its end did not come in time.
    Cut,
    /// There is no memory for it.
    NoMemory,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("the frame's header is damaged"),
            Self::Version(found) => {
                write!(f, "the frame is of version {found}, expected {VERSION}")
            }
            Self::TooLong { found, most } => {
                write!(f, "the frame has {found} bytes, and {most} are the most")
            }
            Self::Checksum => f.write_str("the frame is damaged: its checksum does not hold"),
            Self::Kind(found) => write!(f, "there is no request {found}"),
            Self::Cut => f.write_str("the frame is cut: its end did not come"),
            Self::NoMemory => f.write_str("no memory for the frame"),
        }
    }
}

/// What has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// A frame that can't be used.
    Damaged {
        /// Its sequence number; 0 if that is damaged too.
        sequence: u32,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// Takes bytes as they come, whatever they are, and finds the frames among them.
///
/// Behind a damaged frame, it goes on at the next magic. A payload that is not whole may have taken in
/// what came behind a lost end, so it is searched for frames as well, once: each byte is looked at
/// a limited number of times, whatever the sender does.
///
/// It keeps one frame at most, and its memory only while there is one.
#[derive(Debug)]
pub struct Decoder {
    most: usize,
    buffer: Vec<u8>,
    /// Bytes at the buffer's front that are done with.
    used: usize,
    /// Up to here the buffer holds bytes of a frame that was damaged.
    searched: usize,
}

/// What the bytes at hand are, by their place in the buffer.
enum Look {
    Frame(Kind, u32, Range<usize>),
    Damaged(u32, Damage),
    /// So many more bytes are needed, for the frame of this sequence number.
    Wants(usize, u32),
}

impl Decoder {
    /// One that takes payloads of so many bytes at most.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            buffer: Vec::new(),
            used: 0,
            searched: 0,
        }
    }

    /// The next frame, with what is in `input`: what is taken from it is gone from its front. None
    /// when all is taken, and no frame is complete.
    pub fn decode(&mut self, input: &mut &[u8]) -> Option<Event<'_>> {
        loop {
            let (count, sequence) = match self.look() {
                Look::Frame(kind, sequence, place) => {
                    let payload = &self.buffer[place];
                    return Some(Event::Frame(Frame {
                        kind,
                        sequence,
                        payload,
                    }));
                }
                Look::Damaged(sequence, damage) => {
                    return Some(Event::Damaged { sequence, damage });
                }
                Look::Wants(count, sequence) => (count, sequence),
            };
            self.let_go_of_used();
            if input.is_empty() {
                return None;
            }
            if self.buffer.try_reserve_exact(count).is_err() {
                self.used = self.buffer.len();
                let damage = Damage::NoMemory;
                return Some(Event::Damaged { sequence, damage });
            }
            let (now, later) = input.split_at(count.min(input.len()));
            self.buffer.extend_from_slice(now);
            *input = later;
        }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Whether a frame has begun that is not complete.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.used < self.buffer.len()
    }

    /// Waits no longer for the end of the frame that [has begun](Self::is_waiting). Frames that came
    /// behind its beginning are found by the next [`decode`](Self::decode).
    pub fn give_up(&mut self) -> Option<Event<'static>> {
        let Look::Wants(_, sequence) = self.look() else {
            return None;
        };
        if !self.is_waiting() {
            return None;
        }
        self.search_again(self.buffer.len());
        let damage = Damage::Cut;
        Some(Event::Damaged { sequence, damage })
    }

    /// Finds out what the bytes at hand are, and takes what it tells of for used.
    fn look(&mut self) -> Look {
        self.used += garbage(&self.buffer[self.used..]);
        let rest = &self.buffer[self.used..];
        let Some(header) = rest.first_chunk::<HEADER_BYTES>() else {
            return Look::Wants(HEADER_BYTES - rest.len(), 0);
        };
        let Some(header) = Header::read(header) else {
            self.used += MAGIC.len();
            return Look::Damaged(0, Damage::Header);
        };
        let sequence = header.sequence;
        if header.version != VERSION {
            self.used += HEADER_BYTES;
            return Look::Damaged(sequence, Damage::Version(header.version));
        }
        if header.length as usize > self.most {
            self.used += HEADER_BYTES;
            let (found, most) = (header.length, self.most);
            return Look::Damaged(sequence, Damage::TooLong { found, most });
        }
        let bytes = header.frame_bytes();
        let Some(frame) = rest.get(..bytes) else {
            return Look::Wants(bytes - rest.len(), sequence);
        };
        let end = self.used + bytes;
        if !frame::is_whole(frame) {
            self.search_again(end);
            return Look::Damaged(sequence, Damage::Checksum);
        }
        let payload = self.used + HEADER_BYTES..end - TRAILER_BYTES;
        self.used = end;
        match Kind::from_number(header.kind) {
            Some(kind) => Look::Frame(kind, sequence, payload),
            None => Look::Damaged(sequence, Damage::Kind(header.kind)),
        }
    }

    /// Lets the frame at hand, which ends at `end` or should go on there, be searched for others:
    /// not if it was found by such a search itself.
    fn search_again(&mut self, end: usize) {
        if self.used < self.searched {
            self.used = end;
        } else {
            self.searched = end;
            self.used = end.min(self.used + HEADER_BYTES);
        }
    }

    /// Drops what is used, and all memory when nothing is left.
    fn let_go_of_used(&mut self) {
        self.buffer.drain(..self.used);
        self.searched = self.searched.saturating_sub(self.used);
        self.used = 0;
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
    }
}

/// How many bytes stand before the first that can begin a frame.
fn garbage(bytes: &[u8]) -> usize {
    let begins = |at: &usize| {
        let here = &bytes[*at..];
        let length = here.len().min(MAGIC.len());
        here[..length] == MAGIC[..length]
    };
    (0..bytes.len()).find(begins).unwrap_or(bytes.len())
}
