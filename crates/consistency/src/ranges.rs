use crate::Code;
use alloc::vec::Vec;
use core::ops::Range;

/// Sorted, non-overlapping code ranges of the functions being left, to be looked
/// up by address. This is done for each frame of each thread's stack.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ranges {
    /// The start of the first range.
    lowest: Code,
    /// From there to the end of the last range, in bytes. 0 if there is none.
    span: u64,
    ranges: Vec<Range<Code>>,
}

impl Ranges {
    /// Takes ranges in any order. Empty and inverted ones are left out; those that
    /// overlap become one, under the lowest start.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = Range<Code>>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|r| !r.is_empty()).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup_by(|next, kept| {
            let overlap = next.start < kept.end;
            if overlap {
                kept.end = kept.end.max(next.end);
            }
            overlap
        });
        let lowest = ranges.first().map_or(0, |first| first.start);
        let end = ranges.last().map_or(0, |last| last.end);
        Self {
            lowest,
            span: end - lowest,
            ranges,
        }
    }

    /// The start of the range that the address is in, in O(log n), and at
    /// once for an address below or above all of them.
    ///
    /// A return address may be the first byte behind a function that ends with a
    /// call: look up the call instead.
    #[inline]
    #[must_use]
    pub fn find(&self, address: u64) -> Option<Code> {
        // One comparison for both ends: below the lowest, the difference wraps.
        if address.wrapping_sub(self.lowest) >= self.span {
            return None;
        }
        let above = self.ranges.partition_point(|r| r.start <= address);
        let range = self.ranges.get(above.checked_sub(1)?)?;
        (address < range.end).then_some(range.start)
    }

    /// Where they start, ascending.
    pub fn starts(&self) -> impl Iterator<Item = Code> {
        self.ranges.iter().map(|range| range.start)
    }

    /// The number of ranges.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}
