//! What has been seen.

use crate::order::{ORDER, row_of};
use core::sync::atomic::{AtomicU64, Ordering};

/// The most classes.
pub const CLASSES: usize = 128;

const WORDS: usize = CLASSES / 64;

/// Why a lock must not be taken while another is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OutOfOrder {
    /// It has an earlier row than the one that is held, or the same.
    Row,
    /// The two are of one class.
    Alike,
    /// It is for threads, and waiting for it is sleep; the one that is held keeps interrupts off.
    Sleeps,
    /// The one that is held was taken while this one was held, or with others in between.
    Cycle,
}

/// The pairs that were seen: a lock was taken while another was held.
#[derive(Debug)]
pub struct Pairs([[AtomicU64; WORDS]; CLASSES]);

impl Pairs {
    /// None yet.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "made once, in a static")]
    pub const fn new() -> Self {
        Self([const { [const { AtomicU64::new(0) }; WORDS] }; CLASSES])
    }

    /// Notes that `taken` is about to be taken while `held` is held.
    ///
    /// # Errors
    /// When that is out of order. It is noted all the same, so that it is found once.
    ///
    /// # Panics
    /// When a number is [`CLASSES`] or more.
    #[inline]
    pub fn see(&self, held: u8, taken: u8) -> Result<(), OutOfOrder> {
        let word = &self.0[usize::from(held)][usize::from(taken) / 64];
        let bit = 1 << (taken % 64);
        // Most have been seen: no store then, which other CPUs would have to hear of.
        if word.load(Ordering::Relaxed) & bit != 0 {
            return Ok(());
        }
        word.fetch_or(bit, Ordering::Relaxed);
        self.judge(held, taken)
    }

    #[cold]
    fn judge(&self, held: u8, taken: u8) -> Result<(), OutOfOrder> {
        match (row_of(held), row_of(taken)) {
            (Some(row), Some(_)) if held == taken && ORDER[row].nests => Ok(()),
            _ if held == taken => Err(OutOfOrder::Alike),
            (Some(before), Some(behind)) if before >= behind => Err(OutOfOrder::Row),
            (Some(_), Some(_)) => Ok(()),
            _ if self.leads(taken, held) => Err(OutOfOrder::Cycle),
            _ => Ok(()),
        }
    }

    /// Whether `to` was taken while `from` was held, or with others in between.
    fn leads(&self, from: u8, to: u8) -> bool {
        let (mut reached, mut looked_at) = ([false; CLASSES], [false; CLASSES]);
        reached[usize::from(from)] = true;
        while let Some(next) = (0..CLASSES).find(|&one| reached[one] && !looked_at[one]) {
            looked_at[next] = true;
            for taken in self.taken_under(next) {
                if taken == usize::from(to) {
                    return true;
                }
                reached[taken] = true;
            }
        }
        false
    }

    fn taken_under(&self, held: usize) -> impl Iterator<Item = usize> {
        (0..CLASSES).filter(move |taken| {
            let word = self.0[held][taken / 64].load(Ordering::Relaxed);
            word >> (taken % 64) & 1 != 0
        })
    }

    /// The pairs that were seen, the lock that was held first.
    pub fn seen(&self) -> impl Iterator<Item = (u8, u8)> {
        (0..CLASSES).flat_map(move |held| {
            self.taken_under(held)
                .map(move |taken| (held as u8, taken as u8))
        })
    }
}
