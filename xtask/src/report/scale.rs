//! The time axis of a transition. Threads switch in bursts, with long waits between:
//! bursts are drawn to one scale, and waits are cut to one short piece each.

/// A wait is a gap of more than so many times the median gap.
const LONG: u64 = 4;

/// How much of the whole width a wait takes, in percent, and all of them at most.
const CUT: f64 = 9.0;
const ALL_CUTS: f64 = 54.0;

/// A piece of the axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// The time that it begins with.
    pub from: u64,
    /// The time that it ends with.
    pub to: u64,
    /// Where it begins, in percent of the width.
    pub left: f64,
    /// Where it ends.
    pub right: f64,
    /// Whether it is cut.
    pub cut: bool,
}

/// Where times are on the axis.
#[derive(Clone, Debug)]
pub struct Scale {
    pieces: Vec<Piece>,
}

impl Scale {
    /// An axis from 0 to the latest of these times.
    #[must_use]
    pub fn new(times: impl IntoIterator<Item = u64>) -> Scale {
        let mut times: Vec<u64> = times.into_iter().chain([0]).collect();
        times.sort_unstable();
        times.dedup();
        let mut sorted: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        sorted.sort_unstable();
        let Some(median) = sorted.get((sorted.len().max(1) - 1) / 2).copied() else {
            return Scale { pieces: Vec::new() };
        };
        let is_cut = |gap: u64| gap > median.saturating_mul(LONG);
        let cuts = sorted.iter().filter(|&&gap| is_cut(gap)).count();
        let shown: u64 = sorted.iter().filter(|&&gap| !is_cut(gap)).sum();
        // The median itself is never cut, so `shown` is not 0.
        let cut_width = CUT.min(ALL_CUTS / cuts.max(1) as f64);
        let per_tick = (100.0 - cut_width * cuts as f64) / shown as f64;

        let mut pieces: Vec<Piece> = Vec::new();
        let mut left = 0.0;
        for pair in times.windows(2) {
            let gap = pair[1] - pair[0];
            let cut = is_cut(gap);
            let right = left
                + if cut {
                    cut_width
                } else {
                    gap as f64 * per_tick
                };
            match pieces.last_mut() {
                Some(last) if !last.cut && !cut => (last.to, last.right) = (pair[1], right),
                _ => pieces.push(Piece {
                    from: pair[0],
                    to: pair[1],
                    left,
                    right,
                    cut,
                }),
            }
            left = right;
        }
        Scale { pieces }
    }

    /// Where a time is, in percent of the width.
    #[must_use]
    pub fn at(&self, time: u64) -> f64 {
        for piece in &self.pieces {
            if time <= piece.to {
                let part = time.saturating_sub(piece.from) as f64 / (piece.to - piece.from) as f64;
                return piece.left + part * (piece.right - piece.left);
            }
        }
        self.pieces.last().map_or(0.0, |last| last.right)
    }

    /// Its pieces, from left to right.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_0_ends_at_100_and_never_goes_back() {
        let times = [5, 9, 12, 2000, 2010, 9000];
        let scale = Scale::new(times);
        let places: Vec<f64> = [0].iter().chain(&times).map(|&t| scale.at(t)).collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
        assert!(scale.at(0) == 0.0 && (scale.at(9000) - 100.0).abs() < 1e-9);
        assert!(scale.at(3000) > scale.at(2010) && scale.at(3000) < scale.at(9000));
    }

    #[test]
    fn bursts_are_to_one_scale_and_waits_are_cut() {
        let scale = Scale::new([10, 20, 1000, 1010, 1030]);
        let cuts: Vec<bool> = scale.pieces().iter().map(|piece| piece.cut).collect();
        assert_eq!(cuts, [false, true, false]);
        let [first, wait, second] = scale.pieces() else {
            panic!("{scale:?}")
        };
        assert_eq!(wait.right - wait.left, CUT);
        let (a, b) = (first.right - first.left, second.right - second.left);
        assert!((a / 20.0 - b / 30.0).abs() < 1e-9, "{scale:?}");
    }

    #[test]
    fn nothing_but_a_start_is_no_axis() {
        assert_eq!(Scale::new([]).at(7), 0.0);
        assert_eq!(Scale::new([0, 0]).pieces(), []);
        assert_eq!(Scale::new([8]).at(4), 50.0);
    }
}
