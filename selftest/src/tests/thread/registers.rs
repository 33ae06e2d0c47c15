//! What a thread has in its registers stays its own.

use super::{join, spawn};
use crate::check;
use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use lab::instruments::{
    self,
    sanitiser::{SanitisedCall, kernel_toc},
};
use machine::{arch, cpus, sync::IrqLock, time};

/// Threads at a time.
const THREADS: u64 = 4;

extern "C" fn give_way() {
    thread::yield_now();
}

extern "C" fn doze() {
    thread::sleep(Duration::from_micros(500));
}

crate::selftest! {
    /// Preemption at any instruction changes no register of any thread, nor what
    /// lies below its stack pointer.
    fn preemption_keeps_all() {
        let changed = Arc::new(AtomicU64::new(0));
        let end = arch::timebase() + time::timebase_ticks(Duration::from_millis(40));
        let mut handles = Vec::new();
        for _ in 0..THREADS {
            let changed = changed.clone();
            handles.push(spawn("soak", move || {
                changed.fetch_or(instruments::register_soak(end), Ordering::Relaxed);
            })?);
        }
        handles.into_iter().try_for_each(join)?;
        let changed = changed.load(Ordering::Relaxed);
        // r13 is the CPU's, and a thread may go on on another.
        let own = if cpus::count() > 1 { !(1 << 13) } else { !0 };
        check!(changed & own == 0, "changed registers: {changed:#x}");
        Ok(())
    }

    /// Giving way and sleeping keep the nonvolatile registers, CR2 to CR4 and r2,
    /// while other threads have other values in them.
    fn giving_way_keeps_nonvolatile_ones() {
        let changed = Arc::new(IrqLock::new(None));
        let mut handles = Vec::new();
        for number in 1..=THREADS {
            let changed = changed.clone();
            handles.push(spawn("keep", move || {
                for round in 0..200 {
                    // Another one for each thread and round, in CR too.
                    let fields = (number + 4 * round) % 16 * 0x11_1000;
                    let pattern = number << 32 | round << 24 | fields;
                    let call = if round % 20 == 0 { doze } else { give_way };
                    let call = SanitisedCall::local(call as usize as u64, kernel_toc(), &[]);
                    // SAFETY: the function takes no arguments.
                    if let Err(wrong) = unsafe { call.with_pattern(pattern).make_checked() } {
                        changed.lock().get_or_insert(wrong);
                    }
                }
            })?);
        }
        handles.into_iter().try_for_each(join)?;
        let changed = changed.lock().take();
        check!(changed.is_none(), "a call has changed what it has to keep: {changed:?}");
        Ok(())
    }
}
