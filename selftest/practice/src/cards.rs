//! A shop that counts what is bought with each card, to be changed while it is open:
//! exercise 13 (docs/exercises/13-points.md).

use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};
use shell::{Callable, plain};

/// How many cards there are.
const CARDS: usize = 4;

/// What the shop knows of a card.
struct Card {
    /// How often something was bought with it.
    purchases: AtomicU64,
}

/// All cards, by number.
static ALL: [Card; CARDS] = [const {
    Card {
        purchases: AtomicU64::new(0),
    }
}; CARDS];

/// Something is bought with a card. Returns its points: one for each purchase, whatever the
/// price.
#[inline(never)]
pub extern "C" fn buy(number: u64, price: u64) -> u64 {
    black_box(price);
    let Some(card) = ALL.get(number as usize) else {
        return 0;
    };
    card.purchases.fetch_add(1, Ordering::Relaxed) + 1
}

/// How the shell's `call` calls it.
pub static CALLABLES: &[Callable] = &[plain!("practice::cards", buy as "buy",
    [0: ("CARD", 0, CARDS as u64 - 1), 1: ("PRICE", 1, 1_000_000)], "the points of a card with which something was bought")];
