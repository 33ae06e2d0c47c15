//! Threads and a driver of the model, both checked against the reference.

use crate::plan::{FUNCTIONS, MODULE, PATCHES, Plan, Step, original};
use crate::reference::Reference;
use crate::thread::{Activity, Frame, Thread};
use consistency::{Code, PatchState, Patches};
use std::collections::{BTreeMap, BTreeSet};

const MOST_THREADS: usize = 4;
const DEEPEST: usize = 4;

/// Calls, by function and code.
type Tally = BTreeMap<(usize, Code), u64>;

pub struct Simulation {
    pub model: Patches,
    pub reference: Reference,
    pub threads: Vec<Thread>,
    /// Whether the module is there.
    pub module: bool,
    /// Code that must not run.
    pub freed: BTreeSet<Code>,
    /// Code that must stay for ever.
    pub kept: BTreeSet<Code>,
    pub made: Tally,
    pub expected: Tally,
}

/// Threads.
impl Simulation {
    pub fn new(plans: [Plan; PATCHES]) -> Self {
        let threads = vec![Thread::new(PatchState(0), false); 2];
        Self {
            model: Patches::new(),
            reference: Reference::new(plans),
            threads,
            module: false,
            freed: BTreeSet::new(),
            kept: BTreeSet::new(),
            made: Tally::new(),
            expected: Tally::new(),
        }
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Call {
                thread,
                function,
                walkable,
            } => self.call(thread, function, walkable),
            Step::Return(thread) => {
                if let Some(thread) = self.running(thread) {
                    thread.stack.pop();
                }
            }
            Step::Sleep(thread) => self.stop(thread, Activity::Asleep),
            Step::Preempt(thread) => self.stop(thread, Activity::Preempted),
            Step::Wake(thread) => {
                let index = self.index(thread);
                self.threads[index].activity = Activity::Running;
            }
            Step::SafePoint(thread) => {
                let index = self.index(thread);
                if self.threads[index].is_free() {
                    self.switch(index);
                }
            }
            Step::Finish(thread) => {
                let index = self.index(thread);
                self.finish(index);
            }
            Step::Spawn(thread) => {
                if self.threads.len() < MOST_THREADS
                    && let Some(parent) = self.running(thread)
                {
                    let child = Thread::new(parent.patch_state, parent.new_side);
                    self.threads.push(child);
                }
            }
            Step::Exit(thread) => {
                let index = self.index(thread);
                if self.threads[index].is_free() && self.threads.len() > 1 {
                    self.threads.remove(index);
                }
            }
            Step::Retry => self.retry(),
            Step::Enable(patch) => self.enable(patch),
            Step::Disable(patch) => self.disable(patch),
            Step::Reverse => self.reverse(),
            Step::Force => self.force(),
            Step::Arrive { rotate, backwards } => self.arrive(rotate, backwards),
            Step::Leave => self.leave(),
        }
        self.complete_if_done();
        self.check();
    }

    /// There is always a thread.
    fn index(&self, thread: usize) -> usize {
        thread % self.threads.len()
    }

    fn running(&mut self, thread: usize) -> Option<&mut Thread> {
        let index = self.index(thread);
        let thread = &mut self.threads[index];
        thread.runs().then_some(thread)
    }

    fn stop(&mut self, thread: usize, activity: Activity) {
        if let Some(thread) = self.running(thread) {
            thread.activity = activity;
        }
    }

    pub fn is_there(&self, function: usize) -> bool {
        self.module || function < MODULE
    }

    fn call(&mut self, thread: usize, function: usize, walkable: bool) {
        if !self.is_there(function) {
            return;
        }
        let index = self.index(thread);
        let thread = &mut self.threads[index];
        if !thread.runs() || thread.stack.len() == DEEPEST {
            return;
        }
        let new_side = self.model.is_on_new_side(thread.patch_state);
        let choice = self.model.choice(original(function));
        let code = choice.map_or(original(function), |choice| choice.of(new_side));
        thread.stack.push(Frame {
            function,
            code,
            walkable,
            forced: false,
        });
        let seen = self.reference.seen(thread.new_side);
        let expected = self.reference.code(function, &seen);
        *self.made.entry((function, code)).or_default() += 1;
        *self.expected.entry((function, expected)).or_default() += 1;
    }

    /// Lets a thread return from everything and pass a safe point.
    fn finish(&mut self, thread: usize) {
        self.step(Step::Wake(thread));
        while !self.threads[thread].stack.is_empty() {
            self.step(Step::Return(thread));
        }
        self.step(Step::SafePoint(thread));
    }

    /// Lets all threads do that.
    pub fn calm_down(&mut self) {
        for thread in 0..self.threads.len() {
            self.step(Step::Finish(thread));
        }
    }

    /// All functions that are there, called once by each thread.
    pub fn call_everything(&mut self) {
        for thread in 0..self.threads.len() {
            for function in 0..FUNCTIONS {
                let walkable = true;
                self.step(Step::Call {
                    thread,
                    function,
                    walkable,
                });
                self.step(Step::Return(thread));
            }
        }
    }
}
