//! Beginning, names, ends.

use super::{join, leaves_nothing, spawn, until};
use crate::check;
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use machine::mm::stacks;
use thread::{NAME_BYTES, STACK_BYTES, State};

crate::selftest! {
    /// Joining works for a thread that has ended, one that has not begun, and one
    /// that sleeps; what they have taken along is dropped.
    fn joins_wait() {
        leaves_nothing(|| {
            let shared = Arc::new(AtomicU64::new(0));
            let ended = shared.clone();
            let ended = spawn("ended", move || { ended.fetch_add(1, Ordering::Relaxed); })?;
            until("its end", || ended.thread().state() == State::Ended)?;
            let asleep = shared.clone();
            let asleep = spawn("asleep", move || {
                thread::sleep(Duration::from_millis(3));
                asleep.fetch_add(10, Ordering::Relaxed);
            })?;
            until("its sleep", || asleep.thread().state() == State::Asleep)?;
            let fresh = shared.clone();
            let fresh = spawn("fresh", move || { fresh.fetch_add(100, Ordering::Relaxed); })?;
            let mut seen = Vec::new();
            for handle in [ended, asleep, fresh] {
                join(handle)?;
                seen.push(shared.load(Ordering::Relaxed));
            }
            check!(seen[0] % 10 == 1 && seen[1] % 100 == 11 && seen[2] == 111, "seen: {seen:?}");
            check!(Arc::strong_count(&shared) == 1, "{} still hold what they took along", Arc::strong_count(&shared));
            Ok(())
        })
    }

    /// The list of threads leaves none out when those that it has shown end meanwhile.
    fn ends_hide_no_other_thread() {
        const COUNT: usize = 100; // several times what is looked up at once
        leaves_nothing(|| {
            let mut left = Vec::new();
            for _ in 0..COUNT {
                let end = Arc::new(AtomicBool::new(false));
                let its_own = end.clone();
                let waits = spawn("waits", move || {
                    while !its_own.load(Ordering::Relaxed) {
                        thread::park();
                    }
                })?;
                left.push((waits, end));
            }
            for thread in thread::all() {
                let place = left.iter().position(|(handle, _)| handle.thread().id() == thread.id());
                let Some(place) = place else { continue };
                let (handle, end) = left.remove(place);
                end.store(true, Ordering::Relaxed);
                thread.unpark();
                drop(thread);
                join(handle)?;
            }
            let missed = left.len();
            for (handle, end) in left {
                end.store(true, Ordering::Relaxed);
                handle.thread().unpark();
                join(handle)?;
            }
            check!(missed == 0, "{missed} of {COUNT} threads were left out");
            Ok(())
        })
    }

    /// A thread can be joined by another than its maker; and it need not be joined.
    fn any_thread_may_join() {
        leaves_nothing(|| {
            let count = Arc::new(AtomicU64::new(0));
            let (first, second) = (count.clone(), count.clone());
            let inner = spawn("inner", move || {
                thread::sleep(Duration::from_millis(2));
                first.fetch_add(1, Ordering::Relaxed);
            })?;
            let outer = spawn("outer", move || {
                if inner.join().is_ok() {
                    second.fetch_add(10, Ordering::Relaxed);
                }
            })?;
            let third = count.clone();
            drop(spawn("alone", move || { third.fetch_add(100, Ordering::Relaxed); })?);
            join(outer)?;
            until("the third's end", || Arc::strong_count(&count) == 1)?;
            let found = count.load(Ordering::Relaxed);
            check!(found == 111, "the sum is {found}");
            // The next spawn clears away what is left.
            join(spawn("last", || ())?)
        })
    }

    /// A name that is too long is cut off between two characters.
    fn names_are_cut() {
        let long = "ä".repeat(NAME_BYTES);
        let odd = format!("x{long}");
        let full = "y".repeat(NAME_BYTES);
        for (name, expected) in [
            ("", ""),
            ("plain", "plain"),
            (full.as_str(), full.as_str()),
            (long.as_str(), &long[..NAME_BYTES]),
            (odd.as_str(), &odd[..NAME_BYTES - 1]),
        ] {
            let handle = spawn(name, || ())?;
            let found: String = handle.thread().name().into();
            join(handle)?;
            check!(found == expected, "`{name}` became `{found}`, not `{expected}`");
        }
        Ok(())
    }

    /// Threads are found by number while they live, in order, the main one first.
    fn threads_are_listed() {
        let count = thread::count();
        let mut handles = Vec::new();
        for _ in 0..3 {
            handles.push(spawn("listed", thread::park)?);
        }
        let ids: Vec<u32> = handles.iter().map(|handle| handle.thread().id()).collect();
        let all: Vec<u32> = thread::all().map(|thread| thread.id()).collect();
        let found = thread::find(ids[1]).map(|thread| thread.id());
        let counted = thread::count();
        for handle in handles {
            handle.thread().unpark();
            join(handle)?;
        }
        check!(all.is_sorted() && all[0] == 0 && all.ends_with(&ids), "{ids:?} in {all:?}");
        check!(found == Some(ids[1]) && counted == count + 3, "{found:?}, {counted} after {count}");
        check!(thread::find(ids[1]).is_none() && thread::count() == count, "they are still there");
        Ok(())
    }

    /// A stack has the size that was asked for, and at least what an interrupt needs;
    /// it can be used.
    fn stacks_have_their_size() {
        #[inline(never)]
        fn use_up<const N: usize>() -> usize {
            black_box([1_u8; N]).len()
        }
        leaves_nothing(|| {
            for (asked, expected) in [(0, 16384), (STACK_BYTES, STACK_BYTES), (100_001, 102_400), (1 << 20, 1 << 20)] {
                let handle = thread::spawn_with_stack("sized", asked, move || {
                    if asked == 1 << 20 {
                        black_box(use_up::<1_000_000>());
                    }
                    thread::sleep(Duration::from_millis(2));
                });
                let handle = handle.map_err(|error| format!("{asked}: {error}"))?;
                let bytes = handle.thread().stack().bytes();
                let (bottom, top) = handle.thread().stack().range();
                join(handle)?;
                let expected = expected as u64 - stacks::ABOVE;
                check!(bytes == expected && top - bottom == bytes, "{asked} bytes became {bytes}");
                check!(bytes > layout::INTERRUPT_ROOM as u64, "{bytes} bytes have no room for an interrupt");
            }
            Ok(())
        })
    }

    /// A closure that takes much along, and one that must be aligned, arrive whole.
    fn bodies_arrive_whole() {
        #[derive(Clone, Copy)]
        #[repr(align(128))]
        struct Aligned(u64);
        let sum = Arc::new(AtomicU64::new(0));
        let (first, second) = (sum.clone(), sum.clone());
        let much = [3_u64; 250];
        let aligned = Aligned(5);
        join(spawn("much", move || { first.fetch_add(much.iter().sum(), Ordering::Relaxed); })?)?;
        join(spawn("aligned", move || {
            let aligned = black_box(&aligned);
            if core::ptr::from_ref(aligned).addr().is_multiple_of(128) {
                second.fetch_add(aligned.0, Ordering::Relaxed);
            }
        })?)?;
        let sum = sum.load(Ordering::Relaxed);
        check!(sum == 755, "the sum is {sum}");
        Ok(())
    }
}
