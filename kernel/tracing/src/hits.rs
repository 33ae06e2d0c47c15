//! The function profile: how often each function was called.

use alloc::{collections::TryReserveError, vec::Vec};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use ftrace::{Flags, Ops, Site};
use layout::CallFrame;
use machine::{mm, text};
use memmap::Range;

/// The tracer.
pub static OPS: Ops = Ops::new(
    "function_profile",
    callback, // It calls a library, which may be traced itself.
    Flags::empty(),
);

/// A counter for every eight bytes of code, modules' included: no two sites are as
/// close as that, so a call finds its counter without a search. Made once.
static HITS: spin::Once<Vec<AtomicU32>> = spin::Once::new();
/// Where the kernel's text starts, for the callback.
static START: AtomicU64 = AtomicU64::new(0);

/// Makes the counters, or sets them to zero.
///
/// # Errors
/// When there is no memory for them.
pub fn reset() -> Result<(), TryReserveError> {
    let text = text::kernel_text();
    if HITS.get().is_none() {
        let end = mm::code::region().end.max(text.end);
        let count = (end - text.start).div_ceil(8) as usize;
        let mut hits = Vec::new();
        hits.try_reserve_exact(count)?;
        hits.resize_with(count, AtomicU32::default);
        START.store(text.start, Ordering::Relaxed);
        HITS.call_once(|| hits);
    }
    for counter in HITS.get().into_iter().flatten() {
        counter.store(0, Ordering::Relaxed);
    }
    Ok(())
}

/// Sets the counters of code that goes to zero.
pub fn forget(range: &Range) {
    let Some(hits) = HITS.get() else { return };
    let place = |address: u64| {
        let offset = address.saturating_sub(START.load(Ordering::Relaxed));
        ((offset >> 3) as usize).min(hits.len())
    };
    for counter in &hits[place(range.start)..place(range.end)] {
        counter.store(0, Ordering::Relaxed);
    }
}

/// The counter of the site that leaves this `ip`.
#[inline(always)]
fn counter(ip: u64) -> Option<&'static AtomicU32> {
    let offset = ip.wrapping_sub(START.load(Ordering::Relaxed));
    HITS.get()?.get((offset >> 3) as usize)
}

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn callback(ip: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    if let Some(counter) = counter(ip) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The functions that were called, with how often, the most called first.
#[must_use]
pub fn ranking() -> Vec<(Site, u64)> {
    let sites = ftrace::sites();
    let mut ranking: Vec<_> = sites.iter().map(|&site| (site, of(&site))).collect();
    ranking.retain(|&(_, hits)| hits > 0);
    ranking.sort_by_key(|&(site, hits)| (core::cmp::Reverse(hits), site.address));
    ranking
}

/// How often a function was called.
#[must_use]
pub fn of(site: &Site) -> u64 {
    counter(site.ip()).map_or(0, |counter| u64::from(counter.load(Ordering::Relaxed)))
}
