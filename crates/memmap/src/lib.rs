//! Sets of physical addresses, kept as ranges in a fixed amount of memory.
//!
//! The boot stage builds one from the memory that firmware reports, takes out
//! what is in use, and hands out what is left. There is no allocator yet, so
//! a [`Map`] holds its ranges in place and says so when it is full.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests;

use arrayvec::ArrayVec;
use core::{error, fmt};

/// The addresses from `start` up to, but not including, `end`. The very last
/// byte of the 64-bit address space is thus in no range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Range {
    /// The first address inside.
    pub start: u64,
    /// The first address above.
    pub end: u64,
}

impl Range {
    /// The number of bytes in the range; 0 if it is inverted.
    #[must_use]
    #[inline]
    pub const fn size(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The largest part with both ends at multiples of `align`.
    fn rounded_inwards(self, align: u64) -> Option<Self> {
        let start = self.start.checked_next_multiple_of(align)?;
        let end = self.end - self.end % align;
        (start < end).then_some(Self { start, end })
    }

    /// The topmost `size` bytes that start at a multiple of `align`.
    fn top(self, size: u64, align: u64) -> Option<Self> {
        let start = self.end.checked_sub(size)?;
        let start = start - start % align;
        let end = start + size; // at most self.end
        (self.start <= start).then_some(Self { start, end })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}

/// Why a range was neither added nor reserved. The map is as it was before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The result would have more ranges than the map has room for.
    Full {
        /// How many ranges there is room for.
        capacity: usize,
    },
    /// The range has no address in it.
    Empty(Range),
    /// The range ends before it starts.
    Inverted(Range),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity } => {
                write!(f, "memory map full: more than {capacity} separate ranges")
            }
            Self::Empty(range) => write!(f, "memory range {range} is empty"),
            Self::Inverted(range) => write!(f, "memory range {range} ends before it starts"),
        }
    }
}

impl error::Error for Error {}

/// A set of addresses of at most `N` separate ranges.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Map<const N: usize> {
    /// Ascending; none is empty, and between two there is always a gap.
    ranges: ArrayVec<Range, N>,
}

impl<const N: usize> Map<N> {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ranges: ArrayVec::new_const(),
        }
    }

    /// Puts `range` into the set. What of it is there already does no harm.
    ///
    /// # Errors
    /// If `range` is empty or inverted, or touches no other and the map is full.
    pub fn add(&mut self, range: Range) -> Result<(), Error> {
        check(range)?;
        // first..last are the ranges that overlap or touch the new one.
        let first = self.ranges.partition_point(|r| r.end < range.start);
        let last = self.ranges.partition_point(|r| r.start <= range.end);
        let merged = match &self.ranges[first..last] {
            [] => range,
            [lowest, ..] => Range {
                start: range.start.min(lowest.start),
                end: range.end.max(self.ranges[last - 1].end),
            },
        };
        self.replace(first, last, &[merged])
    }

    /// Takes `range` out of the set. What of it is not there does no harm.
    ///
    /// # Errors
    /// If `range` is empty or inverted, or would split a range and the map is
    /// full.
    pub fn reserve(&mut self, range: Range) -> Result<(), Error> {
        check(range)?;
        // first..last are the ranges that overlap the reserved one.
        let first = self.ranges.partition_point(|r| r.end <= range.start);
        let last = self.ranges.partition_point(|r| r.start < range.end);
        let [lowest, ..] = self.ranges[first..last] else {
            return Ok(());
        };
        let below = Range {
            end: range.start,
            ..lowest
        };
        let above = Range {
            start: range.end,
            ..self.ranges[last - 1]
        };
        match (below.size() > 0, above.size() > 0) {
            (true, true) => self.replace(first, last, &[below, above]),
            (true, false) => self.replace(first, last, &[below]),
            (false, true) => self.replace(first, last, &[above]),
            (false, false) => self.replace(first, last, &[]),
        }
    }

    /// The largest part of any range with both ends at multiples of `align`;
    /// the highest of several. `None` if there is none, or if `align` is not a
    /// power of two.
    #[must_use]
    pub fn largest(&self, align: u64) -> Option<Range> {
        if !align.is_power_of_two() {
            return None;
        }
        self.iter()
            .filter_map(|range| range.rounded_inwards(align))
            .max_by_key(|range| range.size())
    }

    /// The ranges, ascending, with a gap between any two.
    pub fn iter(&self) -> impl Iterator<Item = Range> + '_ {
        self.ranges.iter().copied()
    }

    /// The number of bytes in the set.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter().map(Range::size).sum()
    }

    /// Takes `size` bytes that start at a multiple of `align` out of the set:
    /// the topmost ones of the largest range that they fit into. `None`, and
    /// no change, if they fit nowhere, if the map is too full for the split
    /// (never so when `size` is a multiple of `align` and so are all ends), if
    /// `size` is 0, or if `align` is not a power of two.
    #[must_use]
    pub fn take(&mut self, size: u64, align: u64) -> Option<Range> {
        if !align.is_power_of_two() {
            return None;
        }
        let (_, taken) = self
            .iter()
            .filter_map(|range| Some((range, range.top(size, align)?)))
            .max_by_key(|(range, _)| range.size())?;
        self.reserve(taken).ok()?;
        Some(taken)
    }

    /// Puts `new` in the place of the ranges `first..last`.
    fn replace(&mut self, first: usize, last: usize, new: &[Range]) -> Result<(), Error> {
        if self.ranges.len() - (last - first) + new.len() > N {
            return Err(Error::Full { capacity: N });
        }
        self.ranges.drain(first..last);
        for (index, range) in new.iter().enumerate() {
            self.ranges.insert(first + index, *range);
        }
        Ok(())
    }
}

fn check(range: Range) -> Result<(), Error> {
    match range.start.cmp(&range.end) {
        core::cmp::Ordering::Less => Ok(()),
        core::cmp::Ordering::Equal => Err(Error::Empty(range)),
        core::cmp::Ordering::Greater => Err(Error::Inverted(range)),
    }
}
