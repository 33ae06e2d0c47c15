//! What must hold for any threads, patches and events.

use crate::plan::{FUNCTIONS, Plan, Step, any_plans, any_steps, original};
use crate::simulation::Simulation;
use proptest::prelude::*;

/// Takes the steps; then ends the transition that may be left, then takes
/// all patches away, the `order`th first each time.
fn run(plans: [Plan; 4], steps: Vec<Step>, reverse: bool, order: usize) {
    let mut simulation = Simulation::new(plans);
    for step in steps {
        simulation.step(step);
    }
    if reverse && simulation.model.transition().is_some() {
        simulation.step(Step::Reverse);
    }
    simulation.calm_down();
    assert_eq!(simulation.model.transition(), None, "a transition can end");
    simulation.call_everything();

    while !simulation.reference.patches.is_empty() {
        let patches = &simulation.reference.patches;
        let patch = patches[order % patches.len()];
        simulation.step(Step::Disable(patch));
        simulation.call_everything();
        simulation.calm_down();
        assert_eq!(simulation.model.transition(), None, "it is disabled");
    }
    assert_eq!(simulation.model.patches().count(), 0);
    assert_eq!(simulation.model.functions().count(), 0);
    assert!((0..FUNCTIONS).all(|f| simulation.model.choice(original(f)).is_none()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_thread_ever_runs_a_mixture_nor_freed_code(
        plans in any_plans(),
        steps in any_steps(false),
        reverse: bool,
        order in 0..4usize,
    ) {
        run(plans, steps, reverse, order);
    }

    #[test]
    fn after_force_no_thread_runs_freed_code_and_new_calls_are_not_mixed(
        plans in any_plans(),
        steps in any_steps(true),
        reverse: bool,
        order in 0..4usize,
    ) {
        run(plans, steps, reverse, order);
    }
}
