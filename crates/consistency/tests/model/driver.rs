//! The simulation's half of what a kernel does to have its threads switched.

use crate::plan::{MODULE, SIZE, id, original};
use crate::simulation::Simulation;
use crate::thread::Frame;
use consistency::{ModelError, Ranges};

impl Simulation {
    pub fn switch(&mut self, index: usize) {
        let reversed = self.reference.running.is_some_and(|r| r.reversed);
        let thread = &mut self.threads[index];
        thread.patch_state = self.model.goal();
        thread.new_side = !reversed;
    }

    pub fn retry(&mut self) {
        let leaving = self.model.leaving().iter();
        let leaving = Ranges::new(leaving.map(|&code| code..code + SIZE));
        for index in 0..self.threads.len() {
            let thread = &self.threads[index];
            let (frames, reliable) = thread.walk();
            // Somewhere inside.
            let is_leaving = |frame: &Frame| leaving.find(frame.code + SIZE / 2).is_some();
            if !self.model.has_switched(thread.patch_state)
                && !thread.runs()
                && reliable
                && !frames.iter().any(is_leaving)
            {
                self.switch(index);
            }
        }
    }

    fn begin(&mut self, started: Result<u64, ModelError>, expected: Result<(), ModelError>) {
        assert_eq!(started.map(|_| ()), expected);
        if started.is_ok() {
            for thread in &mut self.threads {
                thread.new_side = false;
            }
        }
    }

    pub fn enable(&mut self, patch: usize) {
        let plan = &self.reference.plans[patch];
        let functions = plan.functions(|function| self.is_there(function));
        let started = self.model.enable(id(patch), &functions, plan.replace);
        if started.is_ok() {
            // Its code is loaded again.
            self.freed.retain(|&code| !plan.holds(code));
        }
        let expected = self.reference.enable(patch);
        self.begin(started, expected);
    }

    pub fn disable(&mut self, patch: usize) {
        let started = self.model.disable(id(patch));
        let expected = self.reference.disable(patch);
        self.begin(started, expected);
    }

    pub fn reverse(&mut self) {
        assert_eq!(self.model.reverse(), self.reference.reverse());
    }

    pub fn force(&mut self) {
        if self.model.transition().is_none() {
            return;
        }
        self.model.force();
        for index in 0..self.threads.len() {
            if !self.model.has_switched(self.threads[index].patch_state) {
                self.switch(index);
                for frame in &mut self.threads[index].stack {
                    frame.forced = true;
                }
            }
        }
    }

    pub fn arrive(&mut self, rotate: usize, backwards: bool) {
        if core::mem::replace(&mut self.module, true) {
            return;
        }
        let mut order = self.reference.patches.clone();
        if backwards {
            order.reverse();
        }
        if !order.is_empty() {
            let middle = rotate % order.len();
            order.rotate_left(middle);
        }
        for patch in order {
            let late = self.reference.plans[patch].functions(|function| function >= MODULE);
            assert_eq!(self.model.add_functions(id(patch), &late), Ok(()));
        }
    }

    pub fn leave(&mut self) {
        let mut frames = self.threads.iter().flat_map(|thread| &thread.stack);
        if !self.module || frames.any(|frame| frame.function >= MODULE) {
            return;
        }
        let known = self.model.remove_functions(|old| old >= original(MODULE));
        let expected = self.reference.patched(|function| function >= MODULE);
        assert!(known.into_iter().eq(expected.into_iter().map(original)));
        self.module = false;
    }

    pub fn complete_if_done(&mut self) {
        let mut threads = self.threads.iter();
        if self.model.transition().is_none()
            || !threads.all(|thread| self.model.has_switched(thread.patch_state))
        {
            return;
        }
        let completed = self.model.complete().expect("it runs");
        let before = self.reference.patched(|function| self.is_there(function));
        let gone = self.reference.complete();
        let after = self.reference.patched(|function| self.is_there(function));

        let removed = completed.removed.iter().copied();
        assert!(removed.eq(gone.iter().map(|&patch| id(patch))));
        let released = before.into_iter().filter(|f| !after.contains(f));
        assert!(completed.released.into_iter().eq(released.map(original)));

        let plans = &self.reference.plans;
        for code in gone.iter().flat_map(|&patch| plans[patch].new).flatten() {
            if completed.forced {
                self.kept.insert(code);
            }
            let mut left = self.reference.patches.iter();
            if !self.kept.contains(&code) && !left.any(|&patch| plans[patch].holds(code)) {
                self.freed.insert(code);
            }
        }
    }
}
