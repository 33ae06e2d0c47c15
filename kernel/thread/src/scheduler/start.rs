//! The first threads: that which boots, and the idle thread of each CPU.

use super::{add, switch, table::SCHEDULER};
use crate::{
    CpuError, NAME_BYTES, OutOfMemory, STACK_BYTES, State, Thread, ThreadStack, interrupt,
    memory::taken_along, patch_state, run, safe_point,
};
use alloc::sync::Arc;
use arrayvec::ArrayString;
use core::{fmt::Write as _, mem, sync::atomic::Ordering};
use machine::{arch, cpus, time};

/// Makes what runs now the main thread, and the idle thread beside it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn start() -> Result<(), OutOfMemory> {
    let main = Thread::new(0, "main", ThreadStack::running(), 0, run::<fn()>);
    main.set_state(State::Running);
    let main = Arc::try_new(main).map_err(|_| OutOfMemory)?;
    let mut scheduler = SCHEDULER.lock();
    scheduler.reserve()?;
    scheduler.all.push_back(main.clone());
    scheduler.next_id = 1;
    let current = Arc::as_ptr(&main).expose_provenance() as u64;
    (scheduler.off().cpu().current).store(current, Ordering::Relaxed);
    drop(scheduler);
    let stack = ThreadStack::new(STACK_BYTES)?;
    // SAFETY: free memory of the stack, large enough, and the thread has not begun.
    unsafe { taken_along::<fn()>(stack.guard()).write(run_idle) };
    let idle = add("idle", stack, run::<fn()>, true)?;
    SCHEDULER.lock().idle[0] = Some(idle);
    Ok(())
}

/// Starts the CPUs beside the one that boots, each with an idle thread. `failed` is told the
/// hardware ids of those that stay off, and why.
pub fn start_cpus(mut failed: impl FnMut(u32, CpuError)) {
    let prepare = |number| {
        let mut name = ArrayString::<NAME_BYTES>::new();
        let _ = write!(name, "idle/{number}");
        let stack = ThreadStack::new(STACK_BYTES);
        let idle = stack.and_then(|stack| add(&name, stack, run::<fn()>, true));
        let idle = idle.map_err(|OutOfMemory| CpuError::OutOfMemory)?;
        idle.set_state(State::Running);
        idle.cpu.store(number, Ordering::Relaxed);
        let bounds = idle.stack().range();
        let livepatch_stack = idle.stack().livepatch();
        let thread = Arc::as_ptr(&idle).expose_provenance() as u64;
        SCHEDULER.lock().idle[number as usize] = Some(idle);
        // SAFETY: the idle thread's own stack, on which the CPU begins.
        let stack = unsafe { arch::Stack::new(bounds.0, bounds.1) };
        Ok(cpus::Resources {
            stack,
            livepatch_stack,
            thread,
        })
    };
    let idle: fn() -> ! = || {
        // SAFETY: the vectors are there, and this function holds no guard.
        unsafe { arch::interrupts_on() };
        run_idle();
        unreachable!("an idle thread has ended");
    };
    cpus::start_others(interrupt::handle, idle, prepare, |hardware_id, error| {
        // Its place is that behind those that are up. Its idle thread will not run: a
        // transition must not wait for it.
        let idle = SCHEDULER.lock().forget_idle(cpus::count());
        // A CPU that comes late stands on its stack.
        if error == CpuError::Silent {
            mem::forget(idle);
        }
        failed(hardware_id, error);
    });
}

/// What runs when nothing else wants to: lets the hypervisor have the CPU until the
/// next interrupt. It leaves the CPU by itself and is never taken off it, so its
/// stack can always be read.
fn run_idle() {
    loop {
        let seen = patch_state::changes();
        safe_point();
        let off = arch::interrupts_off();
        let number = off.cpu().number();
        let mut scheduler = SCHEDULER.lock();
        if scheduler.ready.is_empty() {
            // There is something new to do at the safe point: from before the lock, so it has
            // not woken this CPU.
            if patch_state::changes() != seen {
                continue;
            }
            // A thread that wakes from now on wakes this CPU; and since interrupts are off,
            // it does not sleep through that.
            scheduler.sleeping |= 1 << number;
            drop(scheduler);
            // The first CPU's ticks wake the threads that are due.
            if number != 0 {
                time::stop();
            }
            arch::cede(off);
        } else {
            scheduler.sleeping &= !(1 << number);
            if number != 0 {
                time::start();
            }
            switch(scheduler, &off, State::Asleep);
        }
    }
}
