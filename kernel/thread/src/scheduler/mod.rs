//! Decides which thread runs: round robin, one time slice each, on whatever CPU is free.
//!
//! One lock orders everything: which thread is in which state, and where. A CPU takes it,
//! chooses, and *switches with the lock held*; the thread that it switches to opens it, from
//! its own guard of the time when it gave way. So no other CPU can choose a thread whose
//! registers are not saved yet, or free the stack of one that has not left it: both take the
//! lock. A look at a thread that does not run holds it, too ([`Thread::look`]).
//!
//! To sleep until something is so, a thread looks once more with the lock held, and the one that
//! makes it so takes the lock to wake it, afterwards. If the look comes first the thread is
//! asleep when it is woken; if the wake comes first, the look finds it so. Looked at before
//! the lock was taken, a wake in between would be lost.
//!
//! The models of both are `crates/models/src/switch.rs` and `wait.rs`; that of an idle CPU is
//! `idle.rs`.

mod start;
mod table;

pub use start::{start, start_cpus};

use super::{OutOfMemory, Runner, State, Thread, ThreadStack, current, with_current};
use alloc::sync::Arc;
use arrayvec::ArrayVec;
use core::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use machine::{
    arch::{self, InterruptsOff},
    fault, stack,
    sync::IrqGuard,
    time,
};
use table::{SCHEDULER, Scheduler, with_scheduler};

/// How many threads were stopped by faults since boot.
static STOPPED: AtomicUsize = AtomicUsize::new(0);

/// Adds a thread that waits to be woken.
pub(super) fn add(
    name: &str,
    stack: ThreadStack,
    runner: Runner,
    is_idle: bool,
) -> Result<Arc<Thread>, OutOfMemory> {
    let mut scheduler = SCHEDULER.lock();
    scheduler.reserve()?;
    let id = scheduler.next_id;
    // Under the lock, so that the maker can't switch to another patch state between
    // the copy and the moment when the new thread is in the table.
    let patch_state = with_current(Thread::patch_state).unwrap_or(0);
    let mut thread = Thread::new(id, name, stack, patch_state, runner);
    thread.is_idle = is_idle;
    let thread = Arc::try_new(thread).map_err(|_| OutOfMemory)?;
    // SAFETY: the stack is new, and larger than `LEAST_STACK`.
    let r1 = unsafe { arch::prepare_stack(thread.stack().stack(), begin) };
    thread.r1.store(r1, Ordering::Relaxed);
    thread.set_state(State::Asleep);
    scheduler.next_id += 1;
    scheduler.all.push_back(thread.clone());
    Ok(thread)
}

/// Where every thread begins.
extern "C" fn begin() -> ! {
    // SAFETY: this CPU has taken it for the switch to this thread, which has no guard of an
    // earlier time.
    unsafe { SCHEDULER.open() };
    arch::set_in_interrupt(false);
    arch::set_tracing(0);
    let body = with_current(|me| (me.runner, me.stack.guard()));
    if let Some((runner, end)) = body {
        // SAFETY: `spawn` has put what `runner` is for there, once, and so has
        // `start` for the idle thread; the main thread does not begin here. Interrupts
        // are off since this one was switched to.
        unsafe { runner(end) };
    }
    end(State::Ended)
}

/// Ends the running thread.
fn end(state: State) -> ! {
    let off = arch::interrupts_off();
    // No tick may have come since it overran its stack, and none will.
    if state == State::Ended
        && let Err(damage) = stack::check_guard()
    {
        fault::left_damage(damage);
    }
    // A thread that waits for it may go on now, but can't free what it still runs on: that is in
    // `all` until the switch.
    with_current(|me| {
        me.set_state(state);
        me.joiners.wake_all();
    });
    switch(SCHEDULER.lock(), &off, state);
    unreachable!("an ended thread was given the CPU");
}

/// Ends the running thread because of a fault. Works on any stack: what is left of
/// the thread's own is not looked at.
pub fn end_stopped() -> ! {
    STOPPED.fetch_add(1, Ordering::Relaxed);
    end(State::Stopped)
}

/// How many threads were stopped by faults since boot.
#[must_use]
pub fn stopped() -> usize {
    STOPPED.load(Ordering::Relaxed)
}

/// Frees what ended threads leave behind.
pub(super) fn reap() {
    while let Some(thread) = { SCHEDULER.lock().ended.pop() } {
        drop(thread);
    }
}

/// Waits until a thread that has ended has left its stack: another CPU may still be about to.
pub(super) fn wait_until_left(thread: &Thread) {
    while SCHEDULER.lock().find(thread.id).is_some() {
        arch::spin();
    }
}

/// Gives this CPU to the next thread. Returns when this one has a CPU again, which an
/// ended one never has. `off` keeps interrupts off throughout.
fn switch(mut scheduler: IrqGuard<'_, Scheduler>, off: &InterruptsOff, state: State) {
    let cpu = off.cpu();
    let me = cpu.current.load(Ordering::Relaxed) as *const Thread;
    let next = {
        // SAFETY: the running thread, which `all`, `idle` or `ended` holds.
        let me = unsafe { &*me };
        me.set_state(state);
        match state {
            State::Ready => scheduler.ready.push_back(current()),
            State::Ended | State::Stopped => {
                if let Ok(place) = scheduler.place_of(me.id)
                    && let Some(me) = scheduler.all.remove(place)
                {
                    scheduler.ended.push(me);
                }
            }
            State::Running | State::Asleep => {}
        }
        let next = scheduler.ready.pop_front();
        let number = cpu.number();
        let next = next.or_else(|| scheduler.idle[number as usize].clone());
        let Some(next) = next else {
            // There is no other thread yet.
            me.set_state(State::Running);
            return;
        };
        next.set_state(State::Running);
        next.cpu.store(number, Ordering::Relaxed);
        // The scheduler goes on holding it: it is in `all` until it has ended.
        Arc::as_ptr(&next)
    };
    if next == me {
        return;
    }
    // What belongs to the thread, but is kept by the CPU while it runs.
    let in_interrupt = arch::in_interrupt();
    let tracing = arch::tracing();
    // SAFETY: the scheduler holds both threads, this one at least until it runs again.
    // If this one has ended, no thread reaps it before the switch is done, for that takes
    // the lock. Interrupts are off; the next one's r1 was saved when it gave way, before
    // the lock was open again.
    unsafe {
        let r1 = (*next).r1.load(Ordering::Relaxed);
        (*me)
            .livepatch_stack
            .store(arch::livepatch_stack(), Ordering::Relaxed);
        let livepatch_stack = (*next).livepatch_stack.load(Ordering::Relaxed);
        stack::use_stack((*next).stack().stack(), livepatch_stack);
        // No call between these two: the graph tracer would look for its return on
        // the wrong thread's return stack.
        cpu.current
            .store(next.expose_provenance() as u64, Ordering::Relaxed);
        arch::switch_context((*me).r1.as_ptr(), r1);
    }
    // Maybe another CPU: the lock is what this one has taken to switch to this thread.
    arch::set_in_interrupt(in_interrupt);
    arch::set_tracing(tracing);
    drop(scheduler);
}

/// Lets the others run first.
pub fn yield_now() {
    let off = arch::interrupts_off();
    check_stack();
    let scheduler = SCHEDULER.lock();
    if !scheduler.ready.is_empty() {
        switch(scheduler, &off, State::Ready);
    }
}

/// Waits so long, to the next tick.
pub fn sleep(duration: Duration) {
    let ticks = time::timebase_ticks(duration);
    let deadline = arch::timebase().saturating_add(ticks);
    while arch::timebase() < deadline {
        fall_asleep(deadline, || true);
    }
}

/// Waits until this thread is woken, at most until `deadline`, if it still has to: `must`
/// looks with the lock held that a thread takes to wake this one.
pub(super) fn fall_asleep(deadline: u64, must: impl FnOnce() -> bool) {
    let off = arch::interrupts_off();
    check_stack();
    let mut scheduler = SCHEDULER.lock();
    if !must() {
        return;
    }
    if deadline != u64::MAX {
        with_current(|me| scheduler.sleep_until(me, deadline));
    }
    switch(scheduler, &off, State::Asleep);
}

/// A thread that has overrun its stack must not go on as if nothing had happened.
fn check_stack() {
    let r1 = arch::stack_pointer();
    if !stack::is_running(r1) {
        fault::overrun(r1);
    }
}

/// Wakes a thread that is asleep.
pub(super) fn wake(thread: &Thread) {
    with_scheduler(|scheduler| scheduler.wake(thread.id));
}

/// Wakes all CPUs that sleep.
pub(super) fn wake_idle() {
    with_scheduler(|scheduler| {
        while scheduler.sleeping != 0 {
            scheduler.wake_a_cpu();
        }
    });
}

/// A tick: wakes the threads that are due, and takes the running thread off the CPU if
/// another one wants it. Called by the interrupt handler.
pub fn tick() {
    with_scheduler(|scheduler| scheduler.wake_due(arch::timebase()));
    preempt();
}

/// Takes the running thread off the CPU if another one wants it, and returns when
/// it has it again. For handlers of interrupts that came while interrupts were on.
#[inline(never)] // or a patch of it, such as `test_klp_hangs`, would replace nothing
pub fn preempt() {
    let off = arch::interrupts_off();
    let scheduler = SCHEDULER.lock();
    let is_idle = with_current(|me| me.is_idle).unwrap_or(true);
    if !scheduler.ready.is_empty() && !is_idle {
        with_current(|me| me.preempted.store(true, Ordering::Relaxed));
        switch(scheduler, &off, State::Ready);
        with_current(|me| me.preempted.store(false, Ordering::Relaxed));
    }
}

/// What a thread is doing, for callers that read its stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Activity {
    /// It has a CPU: it is the one that asks, or runs on another.
    Running,
    /// It has given way by itself; this is its r1.
    Waiting(u64),
    /// An interrupt took it off the CPU; this is its r1.
    Preempted(u64),
}

impl Thread {
    /// Lets `look` see what it is doing, and do something about it: meanwhile no CPU takes
    /// the thread up or puts it aside, and it does not end. `look` wakes no thread, makes
    /// none and waits for none.
    #[inline]
    pub fn look<T>(&self, look: impl FnOnce(Activity) -> T) -> T {
        let _scheduler = SCHEDULER.lock();
        look(self.activity())
    }

    /// What it is doing. On several CPUs, it may do something else by now.
    #[must_use]
    #[inline]
    pub fn activity(&self) -> Activity {
        let r1 = self.r1.load(Ordering::Relaxed);
        if self.state() == State::Running {
            Activity::Running
        } else if self.preempted.load(Ordering::Relaxed) {
            Activity::Preempted(r1)
        } else {
            Activity::Waiting(r1)
        }
    }
}

/// All threads, by number, as long as they are there when their turn comes. One
/// that is made meanwhile comes too.
pub fn all() -> impl Iterator<Item = Arc<Thread>> {
    let mut last = None;
    let mut batch = ArrayVec::<_, BATCH>::new().into_iter();
    core::iter::from_fn(move || {
        loop {
            let Some(thread) = batch.next() else {
                batch = some_after(last).into_iter();
                last = Some(batch.as_slice().last()?.id);
                continue;
            };
            if !matches!(thread.state(), State::Ended | State::Stopped) {
                return Some(thread);
            }
        }
    })
}

/// Threads that are looked up at a time.
const BATCH: usize = 32;

/// The first threads with numbers above `id`, in order.
fn some_after(id: Option<u32>) -> ArrayVec<Arc<Thread>, BATCH> {
    let scheduler = SCHEDULER.lock();
    let first = id.map_or(0, |id| match scheduler.place_of(id) {
        Ok(place) => place + 1,
        Err(place) => place,
    });
    scheduler.all.range(first..).take(BATCH).cloned().collect()
}

/// Whether the table of threads is being changed: for a debugger, which may have halted
/// the kernel in the middle of that.
#[must_use]
pub fn is_busy() -> bool {
    SCHEDULER.is_locked()
}

/// The thread with a number, if it has not ended.
#[must_use]
pub fn find(id: u32) -> Option<Arc<Thread>> {
    SCHEDULER.lock().find(id).cloned()
}

/// How many threads there are.
#[must_use]
pub fn count() -> usize {
    SCHEDULER.lock().all.len()
}
