//! A bank, whose rate of interest the demonstration changes while it is open.
//!
//! [`balance`] is what patches replace: at one percent each, two, three or four. The
//! result says by which rate it was made, and that it was made by one rate alone.

use core::{
    hint::black_box,
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
};
use loader::export;
use thread::WaitQueue;

export! { bank_paid_in }

/// What was paid into each account.
pub const PAID_IN: u64 = 10_000;

/// Rates of interest in percent are below this; 0 is none.
pub const RATES: usize = 5;

/// How many accounts there are.
pub const ACCOUNTS: usize = 8;

/// What was paid in is told at once.
const OPEN: u8 = 0;
/// Callers sleep until it is told.
const LOCKED: u8 = 1;
/// Callers wait, and keep their CPU.
const HELD: u8 = 2;

/// An account.
struct Account {
    /// [`OPEN`], [`LOCKED`] or [`HELD`].
    state: AtomicU8,
    /// How often a thread has looked whether it is open.
    looks: AtomicU64,
}

static BOOK: [Account; ACCOUNTS] = [const {
    Account {
        state: AtomicU8::new(OPEN),
        looks: AtomicU64::new(0),
    }
}; ACCOUNTS];

/// By rate: how often a function with that rate has asked what was paid in.
static ASKED: [AtomicU64; RATES] = [const { AtomicU64::new(0) }; RATES];

static UNLOCKED: WaitQueue = WaitQueue::new();

/// What an account holds after so many years at one percent, without fractions.
#[inline(never)]
pub extern "C" fn balance(account: u64, years: u64) -> u64 {
    if years == 0 {
        return bank_paid_in(account, 1);
    }
    let before = black_box(balance(account, black_box(years - 1)));
    before + before / 100
}

/// What was paid into an account, for a function that adds so many percent. Waits
/// while the account is locked, and at each look would switch to another patch
/// state if it might; and while it is held, without giving up its CPU.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn bank_paid_in(account: u64, percent: u64) -> u64 {
    if let Some(count) = ASKED.get(percent as usize) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    let Some(account) = BOOK.get(account as usize) else {
        return 0;
    };
    let state = account.state.load(Ordering::Relaxed);
    if state == LOCKED {
        UNLOCKED.wait_until(|| {
            account.looks.fetch_add(1, Ordering::Relaxed);
            thread::safe_point();
            account.state.load(Ordering::Relaxed) == OPEN
        });
    } else if state == HELD {
        while account.state.load(Ordering::Relaxed) == HELD {
            account.looks.fetch_add(1, Ordering::Relaxed);
            core::hint::spin_loop();
        }
    }
    PAID_IN
}

/// Locks an account.
pub fn lock(account: usize) {
    set(account, LOCKED);
}

/// Has callers wait in the function without giving up their CPU.
pub fn hold(account: usize) {
    set(account, HELD);
}

fn set(account: usize, state: u8) {
    BOOK[account].looks.store(0, Ordering::Relaxed);
    BOOK[account].state.store(state, Ordering::Relaxed);
}

/// Opens it.
pub fn unlock(account: usize) {
    BOOK[account].state.store(OPEN, Ordering::Relaxed);
    UNLOCKED.wake_all();
}

/// Has each waiting thread look again.
pub fn look_again() {
    UNLOCKED.wake_all();
}

/// How often threads have looked since the account was locked or held.
#[must_use]
pub fn looks(account: usize) -> u64 {
    BOOK[account].looks.load(Ordering::Relaxed)
}

/// How often functions of each rate have asked what was paid in, since boot.
#[must_use]
pub fn asked() -> [u64; RATES] {
    ASKED.each_ref().map(|count| count.load(Ordering::Relaxed))
}

/// What [`balance`] must say at a rate.
#[must_use]
pub fn expected(percent: u64, years: u64) -> u64 {
    (0..years).fold(PAID_IN, |before, _| before + before * percent / 100)
}

/// The rate by which a result was made; nothing if no rate alone makes it.
#[must_use]
pub fn rate_of(result: u64, years: u64) -> Option<usize> {
    (1..RATES).find(|&percent| expected(percent as u64, years) == result)
}
