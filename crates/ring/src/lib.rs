//! A lock-free ring of records: any number of writers, one reader.
//!
//! Made for tracers: a writer may be interrupted in the middle by another one,
//! on the same CPU or elsewhere, and must never wait. So a writer first reserves
//! a slot, then fills it, then says that it is filled; a full ring drops the
//! newest record and counts it. Nothing is overwritten before it has been read.
//!
//! A slot's turn says which ticket has it. With `n` slots, the slot of ticket `t`
//! (that is, `t % n`) is free for ticket `t` when its turn is `t`, and holds that
//! ticket's record when its turn is `t + 1`; reading it makes the turn `t + n`.
//! This is Dmitry Vyukov's bounded queue, with a single reader.
//!
//! A slot goes from hand to hand by its turn alone. A writer stores the words, and then the
//! turn with Release; the reader loads that turn with Acquire, and so sees the words. It
//! stores the next turn with Release when it has read them; the writer that loads that one
//! with Acquire stores its words after they were read. `head` only gives out tickets, each
//! of them once, and publishes nothing: it is Relaxed.
//! What goes wrong without each of the four orderings is modelled in
//! `crates/models/src/ring.rs`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use core::sync::atomic::{AtomicU64, Ordering};

/// A record of `W` words.
pub type Record<const W: usize> = [u64; W];

/// A slot: its turn, and the record's words. The words are atomic so that a
/// reader that looks at the wrong time sees old words and not nonsense; the turn
/// tells it that they are not for it.
#[derive(Debug)]
struct Slot<const W: usize> {
    turn: AtomicU64,
    words: [AtomicU64; W],
}

/// A ring of `N` records of `W` words. `N` is a power of two.
#[derive(Debug)]
pub struct Ring<const W: usize, const N: usize> {
    slots: [Slot<W>; N],
    /// The next ticket to write.
    head: AtomicU64,
    /// The next ticket to read.
    tail: AtomicU64,
    dropped: AtomicU64,
}

impl<const W: usize, const N: usize> Default for Ring<W, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const W: usize, const N: usize> Ring<W, N> {
    /// An empty ring.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two()) };
        let mut slots = [const {
            Slot {
                turn: AtomicU64::new(0),
                words: [const { AtomicU64::new(0) }; W],
            }
        }; N];
        let mut slot = 0;
        while slot < N {
            slots[slot].turn = AtomicU64::new(slot as u64);
            slot += 1;
        }
        Self {
            slots,
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Appends a record. False if the ring was full: then it is counted as
    /// dropped. Never waits.
    #[inline(always)]
    pub fn push(&self, record: Record<W>) -> bool {
        let mut ticket = self.head.load(Ordering::Relaxed);
        let slot = loop {
            let slot = &self.slots[ticket as usize & (N - 1)];
            let turn = slot.turn.load(Ordering::Acquire);
            if turn == ticket {
                // Ours, unless another writer took the ticket meanwhile. Relaxed: what
                // the slot's last reader did is seen by the turn, which is loaded before.
                match self.head.compare_exchange_weak(
                    ticket,
                    ticket.wrapping_add(1),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => break slot,
                    Err(now) => ticket = now,
                }
            } else if (turn.wrapping_sub(ticket) as i64) < 0 {
                // Not read yet since the ring last came round: full.
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return false;
            } else {
                ticket = self.head.load(Ordering::Relaxed);
            }
        };
        // No iterator: code that writes records may not call what can be traced, and
        // whether an iterator's functions are inlined is up to the compiler.
        let mut word = 0;
        while word < W {
            slot.words[word].store(record[word], Ordering::Relaxed);
            word += 1;
        }
        slot.turn.store(ticket.wrapping_add(1), Ordering::Release);
        true
    }

    /// The oldest record. `None` if there is none, or if its writer has
    /// not finished yet. Only one reader at a time may call this.
    pub fn first(&self) -> Option<Record<W>> {
        let ticket = self.tail.load(Ordering::Relaxed);
        let slot = &self.slots[ticket as usize & (N - 1)];
        if slot.turn.load(Ordering::Acquire) != ticket.wrapping_add(1) {
            return None;
        }
        let word = |word: usize| slot.words[word].load(Ordering::Relaxed);
        Some(core::array::from_fn(word))
    }

    /// Takes the [first](Self::first) record. Only one reader at a time may call this.
    pub fn pop(&self) -> Option<Record<W>> {
        let record = self.first()?;
        let ticket = self.tail.load(Ordering::Relaxed);
        let slot = &self.slots[ticket as usize & (N - 1)];
        slot.turn
            .store(ticket.wrapping_add(N as u64), Ordering::Release);
        // Release: pairs with `len`. The next reader has it by whatever makes it the only one.
        self.tail.store(ticket.wrapping_add(1), Ordering::Release);
        Some(record)
    }

    /// How many records were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How many records were taken in so far.
    pub fn written(&self) -> u64 {
        self.head.load(Ordering::Relaxed)
    }

    /// How many records wait to be read, counting unfinished ones.
    pub fn len(&self) -> usize {
        // Acquire, and first: a head that is older than the tail would make less than nothing.
        let tail = self.tail.load(Ordering::Acquire);
        self.written().wrapping_sub(tail) as usize
    }

    /// Whether no record waits to be read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{thread, vec::Vec};

    #[test]
    fn records_come_out_in_order() {
        let ring = Ring::<2, 4>::new();
        assert_eq!(ring.pop(), None);
        for round in 0..10 {
            assert!(ring.push([round, 1]));
            assert!(ring.push([round, 2]));
            assert_eq!(ring.len(), 2);
            assert_eq!(ring.first(), Some([round, 1]));
            assert_eq!(ring.pop(), Some([round, 1]));
            assert_eq!(ring.pop(), Some([round, 2]));
            assert_eq!(ring.pop(), None);
        }
        assert_eq!((ring.written(), ring.dropped()), (20, 0));
    }

    #[test]
    fn a_full_ring_drops_the_newest_and_counts() {
        let ring = Ring::<1, 4>::new();
        for record in 0..6 {
            assert_eq!(ring.push([record]), record < 4);
        }
        assert_eq!(ring.dropped(), 2);
        assert_eq!(ring.pop(), Some([0]));
        assert!(ring.push([6]));
        let rest: Vec<_> = core::iter::from_fn(|| ring.pop()).collect();
        assert_eq!(rest, [[1], [2], [3], [6]]);
    }

    /// Writers on several threads against one reader: every record arrives once
    /// and whole, those of one writer in order, and the rest is counted.
    #[test]
    fn nothing_is_lost_uncounted() {
        const WRITERS: u64 = 4;
        const EACH: u64 = 50_000;
        static RING: Ring<3, 64> = Ring::new();
        let mut seen = Vec::new();
        thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    scope.spawn(move || {
                        for count in 0..EACH {
                            RING.push([writer, count, writer ^ count]);
                        }
                    })
                })
                .collect();
            loop {
                let done = writers.iter().all(|writer| writer.is_finished());
                seen.extend(core::iter::from_fn(|| RING.pop()));
                if done && RING.is_empty() {
                    break;
                }
            }
        });
        assert_eq!(seen.len() as u64 + RING.dropped(), WRITERS * EACH);
        assert_eq!(seen.len() as u64, RING.written());
        for writer in 0..WRITERS {
            let counts: Vec<_> = seen
                .iter()
                .filter(|record| record[0] == writer)
                .map(|record| record[1])
                .collect();
            assert!(counts.is_sorted_by(|one, next| one < next));
        }
        assert!(
            seen.iter()
                .all(|&[writer, count, check]| check == writer ^ count)
        );
    }
}
