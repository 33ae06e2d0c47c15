//! Code that no site leads to any more, but that a thread may still stand in. Modelled, with
//! the look at threads that run elsewhere, in `crates/models/src/retire.rs`.

use alloc::vec::Vec;
use core::{mem, ops::Range};
use machine::{
    arch,
    cpus::{self, Moment},
    mm::code::CodeBlock,
    sync::IrqLock,
};
use thread::backtrace;

/// Retired code.
struct Retired {
    /// Each with a number: another block may come to lie where one was.
    blocks: Vec<(u64, CodeBlock)>,
    next: u64,
    /// Since then all CPUs must have synchronised, before any is given back.
    since: Moment,
}

static RETIRED: IrqLock<Retired> = IrqLock::named(
    "ftrace::RETIRED",
    Retired {
        blocks: Vec::new(),
        next: 0,
        since: Moment::ZERO,
    },
);

fn range((_, block): &(u64, CodeBlock)) -> Range<u64> {
    let range = block.range();
    range.start..range.end
}

/// Takes code that nothing leads to any more, to be given back when it is safe.
pub fn retire(block: CodeBlock) {
    retire_since(block, cpus::now());
}

/// The same for code that no CPU enters anew that has [synchronised](cpus::synchronise) since a
/// moment.
pub(super) fn retire_since(block: CodeBlock, moment: Moment) {
    let mut retired = RETIRED.lock();
    let number = retired.next;
    retired.next += 1;
    retired.blocks.push((number, block));
    retired.since = retired.since.max(moment);
}

/// Gives back what no thread can be in any more. Not under a lock: looks at the
/// stacks of all threads, one at a time.
pub fn reclaim() {
    let (ranges, later, since) = {
        let retired = RETIRED.lock();
        let ranges: Vec<Range<u64>> = retired.blocks.iter().map(range).collect();
        (ranges, retired.next, retired.since)
    };
    if ranges.is_empty() {
        return;
    }
    // Or a CPU that has fetched a way there before it was written over could take it after its
    // thread was looked at (`control_freed_while_a_cpu_has_the_old_site`).
    if arch::interrupts_are_on() {
        cpus::synchronise_since(since);
    } else if cpus::count() > 1 {
        return;
    }
    let held = backtrace::held(&ranges);
    let mut clear: Vec<u64> = ranges.iter().map(|range| range.start).collect();
    clear.retain(|start| !held.contains(start));
    clear.sort_unstable();
    let mut gone = Vec::with_capacity(clear.len());
    // A block that was retired after the look stays for the next one, even if it lies
    // where another thread has given back a block meanwhile.
    let is_clear = |(number, block): &mut (u64, CodeBlock)| {
        *number < later && clear.binary_search(&block.start()).is_ok()
    };
    gone.extend(RETIRED.lock().blocks.extract_if(.., is_clear));
    // Given back one by one, and not under the lock, which keeps interrupts off.
    drop(gone);
}

/// Gives back what was retired before this call, waiting for threads that were taken off the CPU
/// in it. What the caller itself stands in stays, and so does all of it while
/// interrupts are off, for then no other thread can run. Says whether all of it has gone.
pub fn wait() -> bool {
    let before = RETIRED.lock().next;
    loop {
        reclaim();
        let ranges: Vec<Range<u64>> = {
            let retired = RETIRED.lock();
            let own = retired
                .blocks
                .iter()
                .filter(|&&(number, _)| number < before);
            own.map(range).collect()
        };
        if ranges.is_empty() {
            // Also the room that the list has: how much it needed is up to how threads ran.
            let spare = {
                let mut retired = RETIRED.lock();
                let is_empty = retired.blocks.is_empty();
                is_empty.then(|| mem::take(&mut retired.blocks))
            };
            drop(spare);
            return true;
        }
        if backtrace::caller_is_in(&ranges) || !arch::interrupts_are_on() {
            return false;
        }
        thread::yield_now();
    }
}

/// How many blocks wait to be given back.
#[must_use]
pub fn count() -> usize {
    RETIRED.lock().blocks.len()
}
