//! Code that no site leads to any more, but that a thread may still stand in. Modelled, with
//! the look at threads that run elsewhere, in `crates/models/src/retire.rs`.

use alloc::vec::Vec;
use core::ops::Range;
use machine::{arch, cpus, mm::code::CodeBlock, sync::IrqLock};
use thread::backtrace;

/// Retired code.
struct Retired {
    /// Each with a number: another block may come to lie where one was.
    blocks: Vec<(u64, CodeBlock)>,
    next: u64,
}

static RETIRED: IrqLock<Retired> = IrqLock::new(Retired {
    blocks: Vec::new(),
    next: 0,
});

fn range((_, block): &(u64, CodeBlock)) -> Range<u64> {
    let range = block.range();
    range.start..range.end
}

/// Takes code that nothing leads to any more, to be given back when it is safe.
pub fn retire(block: CodeBlock) {
    let mut retired = RETIRED.lock();
    let number = retired.next;
    retired.next += 1;
    retired.blocks.push((number, block));
}

/// Gives back what no thread can be in any more. Not under a lock: looks at the
/// stacks of all threads, one at a time.
pub fn reclaim() {
    let (ranges, later) = {
        let retired = RETIRED.lock();
        let ranges: Vec<Range<u64>> = retired.blocks.iter().map(range).collect();
        (ranges, retired.next)
    };
    if ranges.is_empty() {
        return;
    }
    // Or a CPU that has fetched a way there before it was written over could take it after its
    // thread was looked at (`control_freed_while_a_cpu_has_the_old_site`).
    if arch::interrupts_are_on() {
        cpus::synchronise();
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

/// Gives back what was retired, waiting for threads that were taken off the CPU in
/// it. What the caller itself stands in stays, and so does all of it while
/// interrupts are off, for then no other thread can run.
pub fn wait() {
    loop {
        reclaim();
        let ranges: Vec<Range<u64>> = RETIRED.lock().blocks.iter().map(range).collect();
        if ranges.is_empty() || backtrace::caller_is_in(&ranges) || !arch::interrupts_are_on() {
            return;
        }
        thread::yield_now();
    }
}

/// How many blocks wait to be given back.
#[must_use]
pub fn count() -> usize {
    RETIRED.lock().blocks.len()
}
