//! Records of tracers: `push` and `pop` in `crates/ring/src/lib.rs`. The words of a slot are a cell
//! here, so that two that use one at a time are found whatever they read.

use loom::{
    cell::UnsafeCell,
    model,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// The orderings by which a slot goes from writers to the reader and back.
#[derive(Clone, Copy)]
struct Orders {
    /// A writer finds it free.
    free: Ordering,
    /// It says that it is filled.
    filled: Ordering,
    /// The reader finds it so.
    found: Ordering,
    /// It says that it has read it.
    read: Ordering,
}

/// As in the ring.
const RING: Orders = Orders {
    free: Ordering::Acquire,
    filled: Ordering::Release,
    found: Ordering::Acquire,
    read: Ordering::Release,
};

/// A ring with one slot, which is enough for its turns.
struct Ring {
    /// Twice the ticket that it is free for, and one more when it holds that one's record.
    turn: AtomicU64,
    words: UnsafeCell<()>,
    head: AtomicU64,
    orders: Orders,
}

impl Ring {
    fn push(&self) -> bool {
        let ticket = self.head.load(Ordering::Relaxed);
        let next = ticket + 1;
        if self.turn.load(self.orders.free) != 2 * ticket
            || (self.head)
                .compare_exchange(ticket, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return false;
        }
        self.words.with_mut(|_| ());
        self.turn.store(2 * ticket + 1, self.orders.filled);
        true
    }

    fn pop(&self, ticket: u64) -> bool {
        if self.turn.load(self.orders.found) != 2 * ticket + 1 {
            return false;
        }
        self.words.with(|_| ());
        self.turn.store(2 * (ticket + 1), self.orders.read);
        true
    }
}

/// Two writers and the reader.
fn ring(orders: Orders) {
    model(move || {
        let ring = Arc::new(Ring {
            turn: AtomicU64::new(0),
            words: UnsafeCell::new(()),
            head: AtomicU64::new(0),
            orders,
        });
        let reader = ring.clone();
        let reader = thread::spawn(move || reader.pop(0));
        let writer = ring.clone();
        let writer = thread::spawn(move || writer.push());
        let written = usize::from(ring.push());
        let read = usize::from(reader.join().unwrap());
        let written = written + usize::from(writer.join().unwrap());
        assert!(read <= written);
    });
}

#[test]
fn a_slot_has_one_user_at_a_time() {
    ring(RING);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_finds_a_slot_free_relaxed() {
    let free = Ordering::Relaxed;
    ring(Orders { free, ..RING });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_says_that_it_is_filled_relaxed() {
    let filled = Ordering::Relaxed;
    ring(Orders { filled, ..RING });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_finds_a_record_relaxed() {
    let found = Ordering::Relaxed;
    ring(Orders { found, ..RING });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_says_that_it_has_read_relaxed() {
    let read = Ordering::Relaxed;
    ring(Orders { read, ..RING });
}
