//! Look-up by address, against looking at all ranges.

use consistency::{Code, Ranges};
use core::ops::Range;
use proptest::prelude::*;

/// The range that holds the address, after those that overlap were joined.
fn naive(ranges: &[Range<Code>], address: u64) -> Option<Code> {
    let holds = |address: u64| ranges.iter().any(|r| r.contains(&address));
    // Down as long as one range holds both an address and the one below.
    let joined = |a: u64| {
        ranges
            .iter()
            .any(|r| r.contains(&a) && r.contains(&(a - 1)))
    };
    let mut start = address;
    while start > 0 && joined(start) {
        start -= 1;
    }
    holds(address).then_some(start)
}

#[test]
fn nothing_is_in_no_range() {
    #[expect(clippy::reversed_empty_ranges)]
    let nothing = [5..5, 9..3];
    for ranges in [Ranges::default(), Ranges::new([]), Ranges::new(nothing)] {
        assert!(ranges.is_empty());
        assert_eq!(ranges.len(), 0);
        for address in [0, 1, 5, u64::MAX] {
            assert_eq!(ranges.find(address), None);
        }
    }
}

#[test]
fn ends_are_outside_and_neighbours_stay_apart() {
    let ranges = Ranges::new([20..30, 10..20, 40..44]);
    assert_eq!(ranges.len(), 3);
    for (address, found) in [
        (9, None),
        (10, Some(10)),
        (19, Some(10)),
        (20, Some(20)),
        (29, Some(20)),
        (30, None),
        (39, None),
        (40, Some(40)),
        (43, Some(40)),
        (44, None),
        (u64::MAX, None),
        (0, None),
    ] {
        assert_eq!(ranges.find(address), found, "{address}");
    }
}

#[test]
fn the_whole_address_space_will_do() {
    let ranges = Ranges::new([0..1, u64::MAX - 4..u64::MAX]);
    assert_eq!(ranges.find(0), Some(0));
    assert_eq!(ranges.find(1), None);
    assert_eq!(ranges.find(u64::MAX - 1), Some(u64::MAX - 4));
    assert_eq!(ranges.find(u64::MAX), None, "no range can hold it");
}

proptest! {
    #[test]
    fn it_finds_what_looking_at_all_finds(
        pairs in prop::collection::vec((0..60u64, 0..12u64), 0..12),
        base in prop::sample::select(vec![0, 0xc000_0000_0000_0000, u64::MAX - 80]),
    ) {
        let ranges: Vec<_> = pairs.iter().map(|&(start, size)| {
            // One in twelve is empty.
            base + start..base + start + size
        }).collect();
        let sorted = Ranges::new(ranges.iter().cloned());
        for address in (base.saturating_sub(3)..base + 80).chain([0, u64::MAX]) {
            prop_assert_eq!(sorted.find(address), naive(&ranges, address), "{:#x}", address);
        }
    }
}
