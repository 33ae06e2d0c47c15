//! Whatever the bytes are and however they come, the channel's decoder goes on, and keeps no more than
//! one frame.
#![no_main]

use channel::{Decoder, Event, Frame, Kind, encode};
use libfuzzer_sys::fuzz_target;

const MOST: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    // The first byte is the size of the pieces.
    let size = bytes.first().copied().map_or(1, usize::from).max(1);
    let mut decoder = Decoder::new(MOST);
    for mut piece in bytes.chunks(size) {
        while let Some(event) = decoder.decode(&mut piece) {
            if let Event::Frame(frame) = event {
                assert!(frame.payload.len() <= MOST);
            }
        }
        assert!(piece.is_empty());
    }
    while decoder.is_waiting() {
        assert!(decoder.give_up().is_some());
        while decoder.decode(&mut &[][..]).is_some() {}
    }
    let frame = Frame {
        kind: Kind::Hello,
        sequence: 1,
        payload: &[],
    };
    let (header, trailer) = encode(&frame);
    let whole = [&header[..], &trailer].concat();
    assert_eq!(decoder.decode(&mut &whole[..]), Some(Event::Frame(frame)));
});
