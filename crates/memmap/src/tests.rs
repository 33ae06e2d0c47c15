use super::*;
use proptest::prelude::*;
use std::string::ToString;
use std::vec::Vec;

fn range(start: u64, end: u64) -> Range {
    Range { start, end }
}

/// A map of the given ranges.
fn map<const N: usize>(ranges: &[(u64, u64)]) -> Map<N> {
    let mut map = Map::new();
    for &(start, end) in ranges {
        map.add(range(start, end)).unwrap();
    }
    map
}

#[test]
fn neighbours_merge() {
    let map = map::<3>(&[(10, 20), (30, 40), (20, 30)]);
    assert_eq!(map, super::tests::map(&[(10, 40)]));
    assert_eq!(map.total(), 30);
}

#[test]
fn reserving_the_middle_splits() {
    let mut map = map::<2>(&[(10, 40)]);
    map.reserve(range(20, 30)).unwrap();
    assert!(map.iter().eq([range(10, 20), range(30, 40)]));
}

#[test]
fn a_full_map_refuses_and_stays_as_it_was() {
    let before = map::<2>(&[(10, 40), (50, 60)]);
    let mut map = before.clone();
    let full = Err(Error::Full { capacity: 2 });
    assert_eq!(map.add(range(70, 80)), full);
    assert_eq!(map.reserve(range(20, 30)), full);
    assert_eq!(map.take(3, 4), None, "52..55 would leave 50..52 and 55..60");
    assert_eq!(map, before);
    map.add(range(40, 45)).unwrap();
    map.reserve(range(10, 20)).unwrap();
    assert!(map.iter().eq([range(20, 45), range(50, 60)]));
}

#[test]
fn what_is_no_range_is_refused_in_words() {
    let mut map = Map::<1>::new();
    let empty = map.add(range(16, 16)).unwrap_err();
    assert_eq!(empty.to_string(), "memory range 0x10..0x10 is empty");
    let inverted = map.reserve(range(32, 16)).unwrap_err();
    assert_eq!(
        inverted.to_string(),
        "memory range 0x20..0x10 ends before it starts"
    );
    map.add(range(1, 2)).unwrap();
    let full = map.add(range(5, 6)).unwrap_err();
    assert_eq!(
        full.to_string(),
        "memory map full: more than 1 separate ranges"
    );
    assert_eq!(
        Map::<0>::new().add(range(0, 1)),
        Err(Error::Full { capacity: 0 })
    );
}

#[test]
fn largest_is_judged_after_rounding() {
    // 0x1fff bytes with a single aligned page, 0x1000 bytes that are one.
    let map = map::<2>(&[(0x1001, 0x3000), (0x8000, 0x9000)]);
    assert_eq!(map.largest(1), Some(range(0x1001, 0x3000)));
    assert_eq!(map.largest(0x1000), Some(range(0x8000, 0x9000)));
    assert_eq!(map.largest(0x10000), None);
    assert_eq!(map.largest(0), None);
    assert_eq!(map.largest(3), None);
}

#[test]
fn the_ends_of_the_address_space_do_not_overflow() {
    let mut map = map::<3>(&[(0, u64::MAX)]);
    assert_eq!(map.total(), u64::MAX);
    assert_eq!(map.largest(1 << 63), Some(range(0, 1 << 63)));
    assert_eq!(map.take(u64::MAX, 1 << 63), Some(range(0, u64::MAX)));
    map.add(range(u64::MAX - 1, u64::MAX)).unwrap();
    assert_eq!(map.largest(1 << 63), None);
    assert_eq!(map.take(1, 1 << 63), None);
    assert_eq!(map.take(0, 1), None);
    assert_eq!(map.take(1, 0), None);
}

#[test]
fn take_carves_from_the_top_of_the_largest_that_fits() {
    // The larger range has no aligned place for 16 bytes.
    let mut map = map::<4>(&[(17, 47), (0x100, 0x110)]);
    assert_eq!(map.take(16, 16), Some(range(0x100, 0x110)));
    assert_eq!(map.take(8, 8), Some(range(32, 40)));
    assert!(map.iter().eq([range(17, 32), range(40, 47)]));
}

/// The addresses that the model covers.
const SPACE: u64 = 64;

#[derive(Clone, Debug)]
enum Step {
    Add(u64, u64),
    Reserve(u64, u64),
    Take(u64, u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let at = || 0..=SPACE;
    prop_oneof![
        (at(), at()).prop_map(|(a, b)| Step::Add(a, b)),
        (at(), at()).prop_map(|(a, b)| Step::Reserve(a, b)),
        (0..=SPACE / 4, 0..=8u64).prop_map(|(size, align)| Step::Take(size, align)),
    ]
}

/// The model: one flag an address, and the ranges read off them.
#[derive(Clone)]
struct Bitmap([bool; SPACE as usize]);

impl Bitmap {
    fn set(&mut self, range: Range, to: bool) {
        self.0[range.start as usize..range.end as usize].fill(to);
    }

    fn ranges(&self) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        for at in (0..SPACE).filter(|&at| self.0[at as usize]) {
            match ranges.last_mut() {
                Some(last) if last.end == at => last.end += 1,
                _ => ranges.push(range(at, at + 1)),
            }
        }
        ranges
    }

    /// Every run of set flags that starts and ends at multiples of `align`.
    fn aligned(&self, align: u64) -> impl Iterator<Item = Range> + '_ {
        let ends = move || (0..=SPACE).filter(move |at| at % align == 0);
        ends()
            .flat_map(move |start| ends().map(move |end| range(start, end)))
            .filter(|r| r.start < r.end && self.holds(*r))
    }

    fn holds(&self, r: Range) -> bool {
        self.0[r.start as usize..r.end as usize]
            .iter()
            .all(|set| *set)
    }
}

proptest! {
    #[test]
    fn a_map_does_what_a_bitmap_does(steps in prop::collection::vec(any_step(), 0..40)) {
        const CAPACITY: usize = 6;
        let mut map = Map::<CAPACITY>::new();
        let mut model = Bitmap([false; SPACE as usize]);
        for step in steps {
            let mut wanted = model.clone();
            match step {
                Step::Add(a, b) | Step::Reserve(a, b) => {
                    let adds = matches!(step, Step::Add(..));
                    let r = range(a, b);
                    if a < b {
                        wanted.set(r, adds);
                    }
                    let expected = match () {
                        () if a == b => Err(Error::Empty(r)),
                        () if a > b => Err(Error::Inverted(r)),
                        () if wanted.ranges().len() > CAPACITY => Err(Error::Full { capacity: CAPACITY }),
                        () => Ok(()),
                    };
                    prop_assert_eq!(if adds { map.add(r) } else { map.reserve(r) }, expected);
                    if expected.is_ok() {
                        model = wanted;
                    }
                }
                Step::Take(size, align) => {
                    let fits = |r: &Range| (r.start..r.end)
                        .rev()
                        .map(|start| range(start, start + size))
                        .find(|t| t.end <= r.end && t.start % align == 0);
                    let place = model.ranges().into_iter()
                        .filter(|_| size > 0 && align.is_power_of_two())
                        .filter(|r| fits(r).is_some())
                        .max_by_key(|r| r.size())
                        .and_then(|r| fits(&r));
                    if let Some(taken) = place {
                        wanted.set(taken, false);
                    }
                    let split_fits = wanted.ranges().len() <= CAPACITY;
                    prop_assert_eq!(map.take(size, align), place.filter(|_| split_fits));
                    if split_fits {
                        model = wanted;
                    }
                }
            }
            prop_assert_eq!(map.iter().collect::<Vec<_>>(), model.ranges());
            prop_assert_eq!(map.total(), model.0.iter().filter(|set| **set).count() as u64);
            for align in [1, 2, 4, 8] {
                let expected = model.aligned(align).max_by_key(|r| r.size());
                prop_assert_eq!(map.largest(align), expected);
            }
        }
    }
}
