//! Pairs: the call stands still before an instruction that reads a word which the action may
//! change, while another CPU begins the action, in steps, and stands still in its turn as soon as
//! it has changed such a word. Then the call goes home, and the action ends. So it is tried for
//! each such instruction and each such change. Between two of them the call can't tell one
//! instruction of the action from another, nor the action one of the call's.
//!
//! The words are those that the call loads before the action and after it, and its site. Left
//! out are those of the thread's own stack and of the CPUs' data, which no other CPU's action
//! changes, and code that is made at run time: it is written before anything leads there, and freed
//! when nothing does any more, so what counts is the word that leads there.
//!
//! An action is in steps until its thread gives way, which it does at its end, if at all.

use super::{
    disturbance::{self, Disturbance},
    memory, situation,
    threads::{self, Disturbed},
};
use crate::single_step::{self, At, MOST_STOPS, Next};
use alloc::{string::String, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use layout::TrapFrame;
use machine::{arch, mmu, sync::IrqLock};

/// What calls have loaded, as far as it was written down: the number of the stop, and the word.
static LOADS: IrqLock<Vec<(usize, u64)>> = IrqLock::new(Vec::new());
static IS_RECORDING: AtomicBool = AtomicBool::new(false);

/// The words of which changes count.
static WORDS: IrqLock<Vec<u64>> = IrqLock::new(Vec::new());

/// The change behind which the action stands still; [`NONE`] if it is not in steps.
static CHANGE: AtomicUsize = AtomicUsize::new(NONE);
const NONE: usize = usize::MAX;

static STANDS: AtomicBool = AtomicBool::new(false);
static MAY_GO_ON: AtomicBool = AtomicBool::new(false);

/// Begins to write down what calls load.
pub fn record() {
    let mut loads = LOADS.lock();
    loads.clear();
    // Of two calls.
    loads.reserve_exact(2 * MOST_STOPS);
    drop(loads);
    IS_RECORDING.store(true, Ordering::Relaxed);
}

/// Whether calls are to be stepped to their end for that.
pub fn is_recording() -> bool {
    IS_RECORDING.load(Ordering::Relaxed)
}

/// Writes down what the next instruction of a call loads.
pub fn note(number: usize, frame: &TrapFrame) {
    let mut loads = LOADS.lock();
    let loaded = memory::loaded(frame).filter(|_| loads.len() < loads.capacity());
    loads.extend(loaded.map(|address| (number, address & !7)));
}

/// Ends that. Returns the numbers of the stops at which the first of the calls was about to
/// read a word that counts: its beginning, where it runs the site, and each load.
///
/// # Errors
/// When the function has no site, which can't be.
pub fn stop_recording() -> Result<Vec<usize>, String> {
    IS_RECORDING.store(false, Ordering::Relaxed);
    let stack = threads::EXPLORER.stack();
    let cpus = arch::CPUS.as_ptr_range();
    let cpus = cpus.start.addr() as u64..cpus.end.addr() as u64;
    let loads = core::mem::take(&mut *LOADS.lock());
    let counts = |word: &u64| !stack.contains(word) && !cpus.contains(word);
    let mut words: Vec<u64> = loads.iter().map(|(_, word)| *word).filter(counts).collect();
    words.push(situation::site()?.address & !7);
    words.sort_unstable();
    words.dedup();
    let is_first = |pair: &[(usize, u64)]| pair[0].0 < pair[1].0;
    let first = loads.windows(2).take_while(|pair| is_first(pair)).count() + 1;
    let mut stops = alloc::vec![0];
    let of_first = loads.iter().take(first);
    stops.extend(
        of_first
            .filter(|(_, word)| counts(word))
            .map(|(number, _)| *number),
    );
    stops.dedup();
    *WORDS.lock() = words;
    Ok(stops)
}

/// Forgets it.
pub fn forget() {
    *WORDS.lock() = Vec::new();
}

/// Has actions stand still behind their change with that number, from 0; or not at all.
pub fn stand_behind(change: Option<usize>) {
    CHANGE.store(change.unwrap_or(NONE), Ordering::Relaxed);
}

/// A run begins.
pub fn begin() {
    STANDS.store(false, Ordering::Relaxed);
    MAY_GO_ON.store(false, Ordering::Release);
}

/// Whether the action stands still, or did in the run that is over.
pub fn stands() -> bool {
    STANDS.load(Ordering::Acquire)
}

/// The call is over: lets the action go on.
pub fn let_go_on() {
    MAY_GO_ON.store(true, Ordering::Release);
}

/// Does what happens, in steps if that was asked for.
pub fn make(disturbance: Disturbance) -> Disturbed {
    let wanted = CHANGE.load(Ordering::Relaxed);
    if wanted == NONE {
        return disturbance::make(disturbance);
    }
    let words = core::mem::take(&mut *WORDS.lock());
    let mut values: Vec<u64> = words.iter().map(|&word| read(word)).collect();
    let mut changes = 0;
    let mut visit = |_: &mut TrapFrame, at: At| {
        if at != At::Instruction {
            return Next::Step;
        }
        for (value, &word) in values.iter_mut().zip(&words) {
            let now = read(word);
            changes += usize::from(now != *value);
            *value = now;
        }
        if changes <= wanted {
            return Next::Step;
        }
        stand();
        Next::Run
    };
    let done = single_step::through(&mut visit, || disturbance::make(disturbance));
    *WORDS.lock() = words;
    done
}

/// A word of memory that the call reads. That its page goes, with a module, is a change like another.
fn read(word: u64) -> u64 {
    if mmu::is_on() && mmu::page_at(word).is_none() {
        return 0;
    }
    // SAFETY: the call has read it or run it, so it is memory, and aligned as it was rounded
    // down. What has been freed since still is, if its page is there, and no other code takes pages away
    // meanwhile: the other thread waits.
    unsafe { (word as *const u64).read_volatile() }
}

/// Stands still until the call is over.
fn stand() {
    STANDS.store(true, Ordering::Release);
    while !MAY_GO_ON.load(Ordering::Acquire) {
        arch::spin();
    }
}
