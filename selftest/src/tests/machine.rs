//! Clock, locks and guards.

use crate::{
    check,
    tests::common::{join, spawn},
};
use alloc::vec::Vec;
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use lab::instruments::probe::{Use, attempt};
use machine::{arch, cpus, mmu, platform, stack, sync::IrqLock, time};
use ppc64::vector;

/// Timebase ticks between two ticks.
fn interval() -> u64 {
    platform::get().timebase_hz / time::TICKS_PER_SECOND
}

/// Waits for a number of ticks, ten seconds at most.
fn wait_for_ticks(count: u64) -> super::Result {
    let before = time::ticks();
    let start = arch::timebase();
    while time::ticks() < before + count {
        check!(
            time::duration(arch::timebase() - start) < Duration::from_secs(10),
            "{} of {count} ticks in ten seconds",
            time::ticks() - before
        );
        arch::wait();
    }
    Ok(())
}

unsafe extern "C" {
    static __image_end: u8;
    static __bss_end: u8;
    /// Not an address: what `_start` counts down.
    static __bss_doublewords: u8;
}

crate::selftest! {
    /// Entry clears .bss and nothing behind it: an initrd may lie there.
    fn entry_clears_no_more_than_bss() {
        let bss = &raw const __bss_end as u64 - &raw const __image_end as u64;
        let cleared = 8 * &raw const __bss_doublewords as u64;
        // Between the image and .bss there is what the latter's alignment takes.
        check!(cleared <= bss && bss - cleared < mmu::PAGE, "{cleared} bytes are cleared, .bss has {bss}");
        Ok(())
    }

    /// The timebase never goes back.
    fn timebase_rises() {
        let mut last = arch::timebase();
        for _ in 0..10_000 {
            let now = arch::timebase();
            check!(now >= last, "{now} came after {last}");
            last = now;
        }
        Ok(())
    }

    /// Ticks come at the rate that the device tree's frequency asks for.
    fn ticks_keep_time() {
        wait_for_ticks(1)?;
        let start = arch::timebase();
        wait_for_ticks(20)?;
        let took = arch::timebase() - start;
        let least = 19 * interval();
        check!(took >= least, "20 ticks took {took} timebase ticks, at least {least} were expected");
        Ok(())
    }

    /// The thread that a tick has interrupted gets some time before the next one, although
    /// the tick's hook takes longer than an interval, as it does when a debugger has a
    /// breakpoint there.
    fn slow_ticks_starve_no_thread() {
        /// When the hook returned.
        static RETURNED: AtomicU64 = AtomicU64::new(0);
        /// On which CPU, plus one.
        static ON: AtomicU64 = AtomicU64::new(0);
        fn slow() {
            if u64::from(arch::number()) + 1 != ON.load(Ordering::Relaxed) {
                return;
            }
            let start = arch::timebase();
            while arch::timebase() - start < 2 * interval() {}
            RETURNED.store(arch::timebase(), Ordering::Relaxed);
        }
        RETURNED.store(0, Ordering::Relaxed);
        // The decrementer's own ticks wait meanwhile; those of other CPUs don't.
        let off = arch::interrupts_off();
        ON.store(u64::from(off.cpu().number()) + 1, Ordering::Relaxed);
        time::call_on_tick(slow);
        time::tick();
        let next = off.cpu().next_tick.load(Ordering::Relaxed);
        time::stop_calling();
        ON.store(0, Ordering::Relaxed);
        drop(off);
        let (returned, least) = (RETURNED.load(Ordering::Relaxed), interval() / 8);
        check!(returned != 0, "the tick did not call its hook");
        check!(next >= returned + least, "the next tick is due at {next}, the last one's hook returned at {returned}, and {least} were to be between them");
        Ok(())
    }

    /// Locks inside one another turn interrupts on when the outer one opens.
    fn locks_nest() {
        let (outer, inner) = (IrqLock::new(1), IrqLock::new(2));
        let first = outer.lock();
        let second = inner.lock();
        check!(*first + *second == 3, "the locks hold {} and {}", *first, *second);
        drop(second);
        check!(arch::machine_state() & ppc64::msr::EE == 0, "interrupts came on too early");
        drop(first);
        check!(arch::machine_state() & ppc64::msr::EE != 0, "interrupts stayed off");
        Ok(())
    }

    /// A damaged guard word is found, wherever in the guard it is.
    fn guards_notice_damage() {
        let bottom = stack::guard();
        for offset in [0, 8, stack::GUARD_BYTES / 2, stack::GUARD_BYTES - 8] {
            let word = (bottom + offset) as *mut u64;
            if mmu::is_on() {
                // SAFETY: the guard holds no data.
                let seen = unsafe { attempt(Use::Store, word as u64) };
                let expected = (vector::DATA_STORAGE, word as u64, vector::NO_PAGE | vector::STORE);
                check!((seen.vector, seen.dar, seen.cause) == expected, "{seen:x?}, expected {expected:x?}");
                continue;
            }
            // The tick's own check must not see this.
            let off = arch::interrupts_off();
            // SAFETY: the guard belongs to the running stack and holds no data;
            // it is put back at once.
            let result = unsafe {
                let pattern = word.read_volatile();
                word.write_volatile(!pattern);
                let result = stack::check_guard();
                word.write_volatile(pattern);
                result
            };
            drop(off);
            let found = result.err().map(|damage| damage.address);
            check!(found == Some(bottom + offset), "damage at {:#x} was reported as {found:x?}", bottom + offset);
        }
        stack::check_guard().map_err(|damage| alloc::format!("{damage}"))
    }
}

crate::selftest! {
    /// Threads on all CPUs, more of them than the host may have, take one lock again and again.
    /// Each gets it as often as it wants, and none at the same time as another.
    fn every_thread_gets_the_lock() {
        const TURNS: u64 = 2000;
        static COUNT: IrqLock<u64> = IrqLock::new(0);
        *COUNT.lock() = 0;
        let take = || {
            for _ in 0..TURNS {
                let mut count = COUNT.lock();
                let before = *count;
                *count = core::hint::black_box(before) + 1;
            }
        };
        let count = 2 * cpus::count() as u64;
        let threads = (0..count).map(|_| spawn("takes", take));
        let threads: Vec<_> = threads.collect::<Result<_, _>>()?;
        threads.into_iter().try_for_each(join)?;
        let taken = *COUNT.lock();
        check!(taken == count * TURNS, "{taken} turns of {}", count * TURNS);
        Ok(())
    }
}

crate::selftest! {
    one_cpu;

    /// No tick arrives while a lock is held, and one does right after.
    fn locks_keep_interrupts_off() {
        let lock = IrqLock::new(0_u32);
        let guard = lock.lock();
        let before = time::ticks();
        let start = arch::timebase();
        let wait = 3 * interval();
        while arch::timebase() - start < wait {}
        let during = time::ticks() - before;
        drop(guard);
        check!(during == 0, "{during} ticks came while the lock was held");
        wait_for_ticks(1)
    }
}
