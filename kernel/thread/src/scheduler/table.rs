//! The scheduler's tables: which thread waits for a CPU, for a time, or has ended.

use crate::{OutOfMemory, State, Thread};
use alloc::{
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::{cmp::Reverse, mem, sync::atomic::Ordering};
use machine::{
    arch::{self, MOST_CPUS},
    cpus,
    sync::IrqLock,
};

/// Each table has room for all threads from the moment when they are made, so that
/// nothing needs memory in order to sleep, to be woken or to end.
pub(super) struct Scheduler {
    /// Waiting for the CPU, the next one first.
    pub(super) ready: VecDeque<Arc<Thread>>,
    /// The threads to wake: timebase and number. An entry counts if its time is
    /// still the one that its thread sleeps until; see [`Scheduler::sleep_until`].
    pub(super) timers: BinaryHeap<Reverse<(u64, u32)>>,
    /// All that have not ended, by number.
    pub(super) all: VecDeque<Arc<Thread>>,
    /// What each CPU runs when nothing else wants to.
    pub(super) idle: [Option<Arc<Thread>>; MOST_CPUS],
    /// The CPUs that sleep, a bit each.
    pub(super) sleeping: u32,
    /// Those of them that are to look for threads, and are still to be told.
    woken: u32,
    /// Ended, with stacks that can go.
    pub(super) ended: Vec<Arc<Thread>>,
    pub(super) next_id: u32,
}

pub(super) static SCHEDULER: IrqLock<Scheduler> = IrqLock::named(
    "thread::SCHEDULER",
    Scheduler {
        ready: VecDeque::new(),
        timers: BinaryHeap::new(),
        all: VecDeque::new(),
        idle: [const { None }; MOST_CPUS],
        sleeping: 0,
        woken: 0,
        ended: Vec::new(),
        next_id: 0,
    },
);

impl Scheduler {
    /// Makes room for one thread more.
    pub(super) fn reserve(&mut self) -> Result<(), OutOfMemory> {
        let threads = self.all.len() + 1;
        self.all.try_reserve(1)?;
        let ready = self.ready.len();
        self.ready.try_reserve(threads.saturating_sub(ready))?;
        // Those that ended before are still in there.
        self.ended.try_reserve(threads)?;
        let timers = self.timers.len();
        self.timers
            .try_reserve((2 * threads).saturating_sub(timers))?;
        Ok(())
    }

    /// Takes the idle thread of a CPU that has not come up out of all tables.
    pub(super) fn forget_idle(&mut self, number: usize) -> Option<Arc<Thread>> {
        let idle = self.idle.get_mut(number)?.take()?;
        if let Ok(place) = self.place_of(idle.id) {
            self.all.remove(place);
        }
        idle.set_state(State::Ended);
        Some(idle)
    }

    /// Where a thread is in `all`, or would be.
    pub(super) fn place_of(&self, id: u32) -> Result<usize, usize> {
        self.all.binary_search_by_key(&id, |thread| thread.id)
    }

    pub(super) fn find(&self, id: u32) -> Option<&Arc<Thread>> {
        self.all.get(self.place_of(id).ok()?)
    }

    /// Has a thread woken at `deadline`. A thread that is woken earlier leaves an entry
    /// behind that does not count. Such entries are swept out when there is no room.
    pub(super) fn sleep_until(&mut self, thread: &Thread, deadline: u64) {
        if thread.deadline.swap(deadline, Ordering::Relaxed) == deadline {
            return; // it has an entry from the last time
        }
        if self.timers.len() == self.timers.capacity() {
            let mut entries = mem::take(&mut self.timers).into_vec();
            entries.retain(|&Reverse((due, id))| self.counts(due, id));
            // There is one for each thread then, and room for as many again.
            entries.sort_unstable();
            entries.dedup();
            self.timers = entries.into();
        }
        self.timers.push(Reverse((deadline, thread.id)));
    }

    /// Whether a timer is its thread's last one.
    fn counts(&self, due: u64, id: u32) -> bool {
        (self.find(id)).is_some_and(|thread| thread.deadline.load(Ordering::Relaxed) == due)
    }

    /// Wakes all threads that are due.
    pub(super) fn wake_due(&mut self, now: u64) {
        while let Some(&Reverse((due, id))) = self.timers.peek()
            && due <= now
        {
            self.timers.pop();
            if self.counts(due, id) {
                self.wake(id);
            }
        }
    }

    pub(super) fn wake(&mut self, id: u32) {
        let Some(thread) = self.find(id).cloned() else {
            return;
        };
        if thread.state() != State::Asleep || thread.is_idle {
            return;
        }
        thread.set_state(State::Ready);
        self.ready.push_back(thread);
        if self.sleeping != 0 {
            self.wake_a_cpu();
        }
    }

    /// Wakes one of the CPUs that sleep.
    pub(super) fn wake_a_cpu(&mut self) {
        let own = arch::number();
        if self.sleeping & 1 << own != 0 {
            // Its sleep has ended by the interrupt that this is called from.
            self.sleeping &= !(1 << own);
            return;
        }
        let number = self.sleeping.trailing_zeros();
        self.sleeping &= !(1 << number);
        self.woken |= 1 << number;
    }
}

/// Lets `change` wake threads and CPUs, and tells the CPUs when the lock is open again: they want it
/// first of all, and telling them is a call of the hypervisor.
pub(super) fn with_scheduler(change: impl FnOnce(&mut Scheduler)) {
    // Until all are told: another thread that wakes one counts on them.
    let _off = arch::interrupts_off();
    let mut woken = {
        let mut scheduler = SCHEDULER.lock();
        change(&mut scheduler);
        mem::take(&mut scheduler.woken)
    };
    while woken != 0 {
        let number = woken.trailing_zeros();
        woken &= woken - 1;
        cpus::ask(&arch::CPUS[number as usize], cpus::RESCHEDULE);
    }
}
