//! What must hold after each step of a simulation.

use crate::plan::{FUNCTIONS, id, original};
use crate::simulation::Simulation;
use crate::thread::Thread;

impl Simulation {
    /// Looks at everything.
    pub fn check(&self) {
        assert_eq!(self.made, self.expected, "calls");
        for thread in &self.threads {
            self.check_thread(thread);
        }
        let model: Vec<_> = self.model.patches().collect();
        assert_eq!(model, self.reference.phases());
        let patched = self.reference.patched(|function| self.is_there(function));
        assert!(
            self.model
                .functions()
                .map(|(old, _)| old)
                .eq(patched.into_iter().map(original))
        );
        for &patch in &self.reference.patches {
            let plan = &self.reference.plans[patch];
            let functions = plan.functions(|function| self.is_there(function));
            assert!(self.model.functions_of(id(patch)).eq(functions));
        }
        let leaving = self.model.leaving();
        assert!(leaving.is_sorted_by(|a, b| a < b), "{leaving:?}");
        let there = (0..FUNCTIONS).filter(|&function| self.is_there(function));
        let versions = |function| {
            let patches = self.reference.patches.iter();
            let new = patches.filter_map(move |&p| self.reference.plans[p].new[function]);
            new.chain([original(function)])
        };
        let versions: Vec<_> = there.flat_map(versions).collect();
        assert!(leaving.iter().all(|code| versions.contains(code)));
    }

    fn check_thread(&self, thread: &Thread) {
        if let Some(running) = self.reference.running {
            assert_eq!(
                self.model.is_on_new_side(thread.patch_state),
                thread.new_side,
                "side: {thread:?}"
            );
            assert_eq!(
                self.model.has_switched(thread.patch_state),
                thread.new_side != running.reversed,
                "progress: {thread:?}"
            );
        }
        let seen = self.reference.seen(thread.new_side);
        for frame in &thread.stack {
            assert!(!self.freed.contains(&frame.code), "freed: {thread:x?}");
            // What is on the stack is what the thread would call now. So at no
            // time are two versions of one set of patches mixed, and no switch
            // passes over a function that it changes.
            assert!(
                frame.forced || frame.code == self.reference.code(frame.function, &seen),
                "mixed: {thread:x?}"
            );
        }
    }
}
