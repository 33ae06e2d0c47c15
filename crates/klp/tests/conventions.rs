//! Return conventions, and what the kernel's file says that variants ask for.

use klp::{Convention, VariantNote};

#[test]
fn names_and_numbers_lead_back() {
    for one in Convention::ALL {
        assert_eq!(Convention::from_number(one as u32), Some(one));
        assert_eq!(Convention::from_name(one.name()), Some(one));
    }
    let behind = Convention::ALL.len() as u32;
    assert_eq!(Convention::from_number(behind), None);
    assert_eq!(Convention::from_name(""), None);
}

/// A note's bytes, put together by hand.
fn bytes(number: u32, name: &[u8]) -> [u8; VariantNote::SIZE] {
    let mut bytes = [0; VariantNote::SIZE];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..4 + name.len()].copy_from_slice(name);
    bytes
}

#[test]
fn a_note_is_read_or_refused() {
    let plain = Convention::Plain as u32;
    let longest = "a".repeat(28);
    for name in ["mini-frame", longest.as_str()] {
        let note = bytes(plain, name.as_bytes());
        let expected = Some((name, Convention::Plain));
        assert_eq!(VariantNote::read(&note), expected);
    }
    for bad in [
        bytes(plain, b""),
        bytes(plain, b"a\0b"),
        bytes(plain, b"\xff"),
        bytes(99, b"name"),
    ] {
        assert_eq!(VariantNote::read(&bad), None, "{bad:?}");
    }
}

/// As the kernel makes it, on whichever machine.
#[test]
#[cfg(target_endian = "little")]
fn a_note_is_what_it_was_made_of() {
    let note = VariantNote::new("pcrel", Convention::Pcrel);
    // SAFETY: a u32 and bytes, without a gap between them.
    let note: [u8; VariantNote::SIZE] = unsafe { core::mem::transmute(note) };
    assert_eq!(note, bytes(Convention::Pcrel as u32, b"pcrel"));
    assert_eq!(VariantNote::read(&note), Some(("pcrel", Convention::Pcrel)));
}

#[test]
#[should_panic(expected = "at most 28 bytes")]
fn a_name_that_does_not_fit_is_refused() {
    let _ = VariantNote::new(&"a".repeat(29), Convention::Plain);
}
