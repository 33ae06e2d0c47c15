//! A frame in bytes.

use crc::{CRC_32_ISO_HDLC, Crc};

/// What a frame begins with.
pub const MAGIC: [u8; 4] = *b"klpF";
/// The version of frames, requests and answers.
pub const VERSION: u8 = 1;
/// Bytes before the payload.
pub const HEADER_BYTES: usize = 20;
/// Bytes behind it.
pub const TRAILER_BYTES: usize = 4;

static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// What a frame asks for, or answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Kind {
    /// Who is there? [`Done`](Self::Done) with [`Hello`](crate::Hello).
    Hello = 1,
    /// Load the module that the payload is. [`Done`](Self::Done) with its name.
    Load = 2,
    /// Enable the patch that the payload names: start its transition.
    Enable = 3,
    /// Disable the patch that the payload names: start its transition.
    Disable = 4,
    /// Turn the running transition round.
    Reverse = 5,
    /// Unload the module that the payload names.
    Unload = 6,
    /// How are patches and threads? [`Done`](Self::Done) with [`Status`](crate::Status).
    Status = 7,
    /// An answer: it is done.
    Done = 0x81,
    /// An answer: the payload, a sentence, says why it is not done. Nothing has changed.
    Refused = 0x82,
}

impl Kind {
    /// The kind of a number, if there is one.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Hello,
            2 => Self::Load,
            3 => Self::Enable,
            4 => Self::Disable,
            5 => Self::Reverse,
            6 => Self::Unload,
            7 => Self::Status,
            0x81 => Self::Done,
            0x82 => Self::Refused,
            _ => return None,
        })
    }
}

/// A frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// What it asks for, or answers.
    pub kind: Kind,
    /// The request's number; an answer has that of its request.
    pub sequence: u32,
    /// What goes with it.
    pub payload: &'a [u8],
}

/// What goes before a payload and behind it: the three are the frame.
///
/// # Panics
/// When the payload has 4 GiB or more.
#[must_use]
pub fn encode(frame: &Frame<'_>) -> ([u8; HEADER_BYTES], [u8; TRAILER_BYTES]) {
    let length = u32::try_from(frame.payload.len()).expect("a payload of less than 4 GiB");
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4] = VERSION;
    header[5] = frame.kind as u8;
    header[8..12].copy_from_slice(&frame.sequence.to_le_bytes());
    header[12..16].copy_from_slice(&length.to_le_bytes());
    let check = CRC.checksum(&header[..16]);
    header[16..].copy_from_slice(&check.to_le_bytes());
    (header, checksum(&header, frame.payload).to_le_bytes())
}

/// The checksum behind a payload.
fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(header);
    digest.update(payload);
    digest.finalize()
}

/// A header that is as its sender wrote it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub version: u8,
    pub kind: u8,
    pub sequence: u32,
    pub length: u32,
}

impl Header {
    /// Reads a header that begins with [`MAGIC`]; none if it is damaged.
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let [
            _,
            _,
            _,
            _,
            version,
            kind,
            _,
            _,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            check @ ..,
        ] = *bytes;
        let is_whole = u32::from_le_bytes(check) == CRC.checksum(&bytes[..16]);
        is_whole.then_some(Self {
            version,
            kind,
            sequence: u32::from_le_bytes([a, b, c, d]),
            length: u32::from_le_bytes([e, f, g, h]),
        })
    }

    /// Bytes in the whole frame.
    pub fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.length as usize + TRAILER_BYTES
    }
}

/// Whether the payload of a whole frame is as its sender wrote it.
pub(crate) fn is_whole(frame: &[u8]) -> bool {
    let Some((covered, check)) = frame.split_last_chunk() else {
        return false;
    };
    u32::from_le_bytes(*check) == checksum(covered, &[])
}
