use super::*;
use alloc::{format, string::ToString, vec::Vec};
use proptest::{collection::vec, prelude::*};

const MOST: usize = 200;

/// What a decoder says of bytes that come in pieces of these sizes, in turn.
fn decoded(bytes: &[u8], pieces: &[usize]) -> Vec<Said> {
    let mut decoder = Decoder::new(MOST);
    let mut said = Vec::new();
    let mut rest = bytes;
    for size in pieces.iter().copied().chain([1, 16]).cycle() {
        let (mut now, later) = rest.split_at(size.min(rest.len()));
        said.extend(drained(&mut decoder, &mut now));
        assert!(now.is_empty());
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    said
}

fn drained(decoder: &mut Decoder, input: &mut &[u8]) -> Vec<Said> {
    let mut said = Vec::new();
    while let Some(event) = decoder.decode(input) {
        said.push(Said::from(event));
        assert!(decoder.capacity() <= HEADER_BYTES + MOST + TRAILER_BYTES);
    }
    said
}

/// An event, kept.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Said {
    Frame(Kind, u32, Vec<u8>),
    Damaged(u32, Damage),
}

impl From<Event<'_>> for Said {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Frame(frame) => Self::Frame(frame.kind, frame.sequence, frame.payload.to_vec()),
            Event::Damaged { sequence, damage } => Self::Damaged(sequence, damage),
        }
    }
}

impl Said {
    fn bytes(&self) -> Vec<u8> {
        let Self::Frame(kind, sequence, payload) = self else {
            panic!("no frame: {self:?}");
        };
        let (header, trailer) = encode(&Frame {
            kind: *kind,
            sequence: *sequence,
            payload,
        });
        [&header[..], payload, &trailer].concat()
    }
}

fn a_frame() -> impl Strategy<Value = Said> {
    let kind = any::<u8>().prop_filter_map("no kind", Kind::from_number);
    // Magics in payloads, and what looks like one up to its last byte.
    let byte = prop_oneof![any::<u8>(), (0..MAGIC.len()).prop_map(|at| MAGIC[at])];
    (kind, 1..=u32::MAX, vec(byte, 0..MOST))
        .prop_map(|(kind, sequence, payload)| Said::Frame(kind, sequence, payload))
}

fn frames() -> impl Strategy<Value = Vec<Said>> {
    vec(a_frame(), 1..5)
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    vec(1..40usize, 0..10)
}

/// Bytes in which nothing begins a frame.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    vec(
        any::<u8>().prop_filter("begins a frame", |byte| *byte != MAGIC[0]),
        0..100,
    )
}

proptest! {
    #[test]
    fn what_is_sent_comes(frames in frames(), pieces in pieces()) {
        let bytes: Vec<u8> = frames.iter().flat_map(Said::bytes).collect();
        prop_assert_eq!(decoded(&bytes, &pieces), frames);
    }

    #[test]
    fn garbage_between_frames_is_passed_by(
        frames in frames(), garbage in vec(garbage(), 5), pieces in pieces()
    ) {
        let parts = frames.iter().zip(&garbage);
        let bytes: Vec<u8> = parts.flat_map(|(frame, garbage)| [garbage.clone(), frame.bytes()].concat()).collect();
        prop_assert_eq!(decoded(&bytes, &pieces), frames);
    }

    #[test]
    fn one_damaged_byte_costs_one_frame(
        frame in a_frame(), next in a_frame(), at in any::<prop::sample::Index>(), change in 1..=255u8, pieces in pieces()
    ) {
        let mut bytes = frame.bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        bytes.extend(next.bytes());
        let said = decoded(&bytes, &pieces);
        prop_assert_eq!(said.last(), Some(&next));
        let Said::Frame(_, number, _) = frame else { unreachable!() };
        let before = &said[..said.len() - 1];
        let is_header = |one: &Said| *one == Said::Damaged(0, Damage::Header);
        match at {
            // Without its magic it is garbage; in its payload there may be others.
            0..4 => prop_assert!(before.iter().all(is_header), "{:?}", before),
            4..HEADER_BYTES => prop_assert!(before.first().is_some_and(is_header), "{:?}", before),
            _ => prop_assert_eq!(before.first(), Some(&Said::Damaged(number, Damage::Checksum))),
        }
    }

    #[test]
    fn a_frame_that_is_cut_is_told_and_the_next_one_comes(
        frame in a_frame(), next in a_frame(), at in any::<prop::sample::Index>(), pieces in pieces()
    ) {
        let bytes = frame.bytes();
        let at = at.index(bytes.len());
        let mut decoder = Decoder::new(MOST);
        prop_assert_eq!(drained(&mut decoder, &mut &bytes[..at]), []);
        prop_assert_eq!(decoder.is_waiting(), at > 0);
        // The next one comes before it is clear that the end of this one does not.
        let mut said = drained(&mut decoder, &mut &next.bytes()[..]);
        let Said::Frame(_, number, _) = frame else { unreachable!() };
        let mut patience = 3;
        while decoder.is_waiting() {
            said.extend(decoder.give_up().map(Said::from));
            said.extend(drained(&mut decoder, &mut &[][..]));
            patience -= 1;
            prop_assert!(patience > 0);
        }
        prop_assert!(said.contains(&next), "{:?}", said);
        prop_assert_eq!(decoder.capacity(), 0);
        if at >= HEADER_BYTES {
            let is_told = |one: &Said| matches!(one, Said::Damaged(sequence, Damage::Cut | Damage::Checksum) if *sequence == number);
            prop_assert!(said.iter().any(is_told));
        }
        let _ = pieces;
    }

    #[test]
    fn of_two_frames_in_halves_each_is_found_or_told(
        one in a_frame(), other in a_frame(), after in a_frame(), pieces in pieces()
    ) {
        let (one, other) = (one.bytes(), other.bytes());
        let ((a, b), (c, d)) = (one.split_at(one.len() / 2), other.split_at(other.len() / 2));
        let padding = [0; MOST + HEADER_BYTES];
        let bytes = [a, c, b, d, &padding, &after.bytes()].concat();
        let said = decoded(&bytes, &pieces);
        prop_assert_eq!(said.last(), Some(&after));
    }

    #[test]
    fn no_bytes_do_harm(bytes in vec(prop_oneof![any::<u8>(), (0..MAGIC.len()).prop_map(|at| MAGIC[at])], 0..1000), pieces in pieces(), next in a_frame()) {
        let mut bytes = bytes;
        bytes.extend([0; MOST + HEADER_BYTES + TRAILER_BYTES]);
        bytes.extend(next.bytes());
        let said = decoded(&bytes, &pieces);
        prop_assert_eq!(said.last(), Some(&next));
    }
}

#[test]
fn what_was_swallowed_by_a_cut_frame_is_found() {
    let load = Said::Frame(Kind::Load, 7, [1; 150].to_vec());
    let hello = Said::Frame(Kind::Hello, 8, Vec::new());
    let mut decoder = Decoder::new(MOST);
    assert_eq!(drained(&mut decoder, &mut &load.bytes()[..100]), []);
    assert_eq!(drained(&mut decoder, &mut &hello.bytes()[..]), []);
    let cut = decoder.give_up().map(Said::from);
    assert_eq!(cut, Some(Said::Damaged(7, Damage::Cut)));
    assert_eq!(drained(&mut decoder, &mut &[][..]), [hello]);
    assert_eq!(decoder.give_up(), None);
}

#[test]
fn each_fault_is_told_with_its_number() {
    let frame = |version: u8, kind: u8, length: u32| {
        let (mut header, _) = encode(&Frame {
            kind: Kind::Hello,
            sequence: 9,
            payload: &[],
        });
        (header[4], header[5]) = (version, kind);
        header[12..16].copy_from_slice(&length.to_le_bytes());
        let check = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
        let own = check.checksum(&header[..16]).to_le_bytes();
        header[16..].copy_from_slice(&own);
        [&header[..], &check.checksum(&header).to_le_bytes()].concat()
    };
    let most = MOST;
    for (bytes, damage, words) in [
        (frame(2, 1, 0), Damage::Version(2), "version 2, expected 1"),
        (frame(1, 8, 0), Damage::Kind(8), "no request 8"),
        (
            frame(1, 2, 201),
            Damage::TooLong { found: 201, most },
            "201 bytes, and 200 are the most",
        ),
        (
            frame(1, 2, u32::MAX),
            Damage::TooLong {
                found: u32::MAX,
                most,
            },
            "4294967295",
        ),
    ] {
        assert_eq!(decoded(&bytes, &[]), [Said::Damaged(9, damage)]);
        assert!(damage.to_string().contains(words), "{damage}");
    }
}

/// Headers in headers: the most work for the fewest bytes.
#[test]
fn a_frame_full_of_headers_is_searched_once() {
    let (header, _) = encode(&Frame {
        kind: Kind::Load,
        sequence: 3,
        payload: &[0; 180],
    });
    let bytes = header.repeat(10_000);
    let said = decoded(&bytes, &[MOST]);
    // A frame is told, and one in it: the search ends with that.
    let frames = 10_000 * HEADER_BYTES / (HEADER_BYTES + 180 + TRAILER_BYTES);
    assert!(said.len() <= 2 * frames, "{} of {frames}", said.len());
    assert!(
        said.iter()
            .all(|one| matches!(one, Said::Damaged(3, Damage::Checksum)))
    );
}

#[test]
fn answers_are_read_as_they_were_written() {
    let status = Status {
        patches: [PatchStatus {
            name: "a\"b".into(),
            state: State::Enabling,
        }]
        .into(),
        transition: Some(Transition {
            number: u64::MAX,
            patch: "a\"b".into(),
            enables: true,
            reversed: false,
            switched: 1,
            threads: 2,
            rows: [ThreadStatus {
                name: "x\n".into(),
                id: 3,
                cpu: 1,
                switched: false,
                why: "é".into(),
                function: "a::<b>::c".into(),
            }]
            .into(),
        }),
    };
    let mut room = [0; 500];
    let text = to_json(&status, &mut room).unwrap();
    assert_eq!(serde_json::from_slice::<Status>(text).unwrap(), status);
    assert_eq!(to_json(&status, &mut [0; 100]), None);
    let none = format!("{:?}", State::Loaded);
    assert_eq!(none, "Loaded");
}
