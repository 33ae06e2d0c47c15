//! Code that no site leads to any more, but that a thread may still stand in.

use crate::{arch, backtrace, mm::code::CodeBlock, sync::IrqLock, thread};
use alloc::vec::Vec;
use core::ops::Range;

static RETIRED: IrqLock<Vec<CodeBlock>> = IrqLock::new(Vec::new());

fn range(block: &CodeBlock) -> Range<u64> {
    let range = block.range();
    range.start..range.end
}

/// Takes code that nothing leads to any more, to be given back when it is safe.
pub fn retire(block: CodeBlock) {
    RETIRED.lock().push(block);
}

/// Gives back what no thread can be in any more. Not under a lock: looks at the
/// stacks of all threads, one at a time.
pub fn reclaim() {
    let ranges: Vec<Range<u64>> = RETIRED.lock().iter().map(range).collect();
    if ranges.is_empty() {
        return;
    }
    let held = backtrace::held(&ranges);
    // What was retired after the look stays for the next one.
    let mut clear: Vec<u64> = ranges.iter().map(|range| range.start).collect();
    clear.retain(|start| !held.contains(start));
    clear.sort_unstable();
    let mut gone = Vec::with_capacity(clear.len());
    let is_clear = |block: &mut CodeBlock| clear.binary_search(&block.start()).is_ok();
    gone.extend(RETIRED.lock().extract_if(.., is_clear));
    // Given back one by one, and not under the lock, which keeps interrupts off.
    drop(gone);
}

/// Gives back what was retired, waiting for threads that were taken off the CPU in
/// it. What the caller itself stands in stays, and so does all of it while
/// interrupts are off, for then nobody else can run.
pub fn wait() {
    loop {
        reclaim();
        let ranges: Vec<Range<u64>> = RETIRED.lock().iter().map(range).collect();
        if ranges.is_empty() || backtrace::caller_is_in(&ranges) || !arch::interrupts_are_on() {
            return;
        }
        thread::yield_now();
    }
}

/// Whether an address is in retired code.
pub fn holds(address: u64) -> bool {
    RETIRED
        .try_lock()
        .is_none_or(|retired| retired.iter().any(|block| range(block).contains(&address)))
}

/// How many blocks wait to be given back.
#[must_use]
pub fn count() -> usize {
    RETIRED.lock().len()
}
