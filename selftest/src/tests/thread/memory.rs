//! Many threads, and no memory for one more.

use super::{join, leaves_nothing, spawn, until};
use crate::{
    check,
    tests::{Repeats, goes_on},
};
use alloc::{alloc::Layout, sync::Arc, vec::Vec};
use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use machine::{arch, mm, stack};
use thread::State;

/// Threads at a time.
const MANY: Repeats = Repeats {
    all: 10_000,
    few: 1_000,
};

/// Everything that the heap has, in large blocks and small ones.
pub(in crate::tests) struct Everything(Vec<(*mut u8, Layout)>);

// SAFETY: it owns its blocks, which any thread may give back.
unsafe impl Send for Everything {}

/// Usage of the heap and of the stacks' memory.
fn usage() -> [mm::Usage; 2] {
    [mm::usage(), mm::stacks::usage()]
}

impl Everything {
    pub(in crate::tests) fn take() -> Self {
        let mut blocks = Vec::with_capacity(20_000);
        let mut size = 1_usize << 30;
        while size >= 16 && blocks.len() < blocks.capacity() {
            let layout = Layout::from_size_align(size, 8).expect("a power of two");
            // SAFETY: the size is not zero.
            let block = unsafe { alloc::alloc::alloc(layout) };
            if block.is_null() {
                size /= 2;
            } else {
                blocks.push((block, layout));
            }
        }
        Self(blocks)
    }
}

impl Drop for Everything {
    fn drop(&mut self) {
        for &(block, layout) in &self.0 {
            // SAFETY: allocated in `take` with this layout.
            unsafe { alloc::alloc::dealloc(block, layout) };
        }
    }
}

crate::selftest! {
    /// Thousands of threads sleep at a time, and all end.
    fn thousands() {
        let many = MANY.here();
        let sum = Arc::new(AtomicU64::new(0));
        let mut handles = Vec::with_capacity(many as usize);
        let free = usage().map(|usage| usage.free);
        for number in 0..many {
            goes_on();
            let sum = sum.clone();
            handles.push(spawn("many", move || {
                thread::sleep(Duration::from_millis(1));
                sum.fetch_add(black_box(number), Ordering::Relaxed);
                thread::park();
            })?);
        }
        let count = thread::count() as u64;
        check!(count > many, "only {count} threads");
        for handle in handles.drain(..) {
            goes_on();
            handle.thread().unpark();
            join(handle)?;
        }
        let sum = sum.load(Ordering::Relaxed);
        check!(sum == many * (many - 1) / 2, "the sum is {sum}");
        // The scheduler's tables have grown, and stay.
        let after = usage().map(|usage| usage.free);
        check!(after[0] + 1_500_000 > free[0] && after[1] == free[1], "{free:?} bytes were free, now {after:?}");
        Ok(())
    }

    /// Where a livepatch stack ends is its thread's own, whatever others push meanwhile; and an interrupt
    /// has its room on each thread's stack.
    fn livepatch_stacks_are_the_threads_own() {
        const PUSHED: u64 = 48;
        let seen = Arc::new(spin::Mutex::new(None));
        let found = seen.clone();
        let before = arch::livepatch_stack();
        let handle = spawn("with a livepatch stack", move || {
            let first = arch::livepatch_stack();
            let base = thread::with_current(|me| me.stack().livepatch());
            arch::set_livepatch_stack(first + PUSHED);
            thread::sleep(Duration::from_millis(1));
            let after = arch::livepatch_stack();
            arch::set_livepatch_stack(first);
            let lowest = stack::running().0 + layout::INTERRUPT_ROOM as u64;
            let fits = [lowest, lowest - 16].map(stack::is_running);
            *found.lock() = Some((base == Some(first), after - first, fits));
        })?;
        until("its sleep", || handle.thread().state() == State::Asleep)?;
        let meanwhile = arch::livepatch_stack();
        let (base, top) = handle.thread().livepatch_stack();
        join(handle)?;
        let seen = seen.lock().take();
        check!(seen == Some((true, PUSHED, [true, false])), "{seen:?}");
        check!(top - base == PUSHED, "asleep, it has {base:#x} to {top:#x}");
        check!(meanwhile == before, "this thread's has moved from {before:#x} to {meanwhile:#x}");
        Ok(())
    }

    /// A stack that no memory can hold is an error.
    fn absurd_stacks_are_refused() {
        leaves_nothing(|| {
            for bytes in [1 << 40, isize::MAX as usize, usize::MAX - 1, usize::MAX] {
                let refused = thread::spawn_with_stack("absurd", bytes, || ());
                check!(matches!(refused, Err(thread::OutOfMemory)), "{bytes:#x} bytes: {refused:?}");
            }
            Ok(())
        })
    }

    /// With little memory left, spawning works or is an error; it leaves nothing
    /// behind, whichever of its parts did not fit.
    fn no_memory_is_an_error() {
        let (mut made, mut refused) = (0, 0);
        let dropped = Arc::new(());
        // Before, so that it needs nothing more when memory is short.
        join(spawn("first", || ())?)?;
        let mut room = 0;
        while room < 8 * 1024 {
            room += 128;
            let before = usage();
            // Not to be left out, though nothing is ever in it.
            let gap = black_box(Vec::<u8>::with_capacity(room));
            let everything = Everything::take();
            drop(gap);
            let held = usage();
            let mine = dropped.clone();
            let handle = thread::spawn("short of memory", move || drop(mine));
            let after = usage();
            drop(everything);
            match handle {
                Ok(handle) => {
                    made += 1;
                    join(handle)?;
                }
                Err(thread::OutOfMemory) => {
                    refused += 1;
                    check!(after == held, "{room} bytes left: {held:?} before, {after:?} after");
                }
            }
            check!(Arc::strong_count(&dropped) == 1, "{room} bytes left: what it took along is still held");
            let after = usage();
            check!(after == before, "{room} bytes left: {before:?} in the beginning, {after:?} in the end");
        }
        check!(made > 5 && refused > 5, "{made} made, {refused} refused");
        check!(thread::all().all(|thread| thread.name() != "short of memory"), "one is still listed");
        Ok(())
    }

    /// Neither does it when the stack alone does not fit.
    fn no_stack_is_an_error() {
        leaves_nothing(|| {
            let taken = Arc::new(());
            // With its livepatch stack, it takes all but a little.
            let most = mm::stacks::usage().free / 5 * 4 - 128 * 1024;
            let large = thread::spawn_with_stack("large", most, || ());
            let large = large.map_err(|error| alloc::format!("{most} bytes: {error}"))?;
            let mut handles = Vec::new();
            let refused = loop {
                let mine = taken.clone();
                match thread::spawn("short of stacks", move || drop(mine)) {
                    Ok(handle) => handles.push(handle),
                    Err(error) => break error,
                }
                check!(handles.len() < 10, "ten stacks in what is left");
            };
            join(large)?;
            handles.into_iter().try_for_each(join)?;
            check!(refused == thread::OutOfMemory && Arc::strong_count(&taken) == 1, "{} hold on", Arc::strong_count(&taken));
            Ok(())
        })
    }

    /// Threads that come and go, joined or not, leave nothing.
    fn threads_come_and_go() {
        leaves_nothing(|| {
            for round in 0..200_u64 {
                let handle = spawn("brief", move || { black_box(round); })?;
                if round % 3 == 0 {
                    join(handle)?;
                }
            }
            join(spawn("last", || ())?)
        })
    }
}
