//! The model by example, and driven by a simulation of a kernel's threads.

mod checks;
mod disabling;
mod driver;
mod enabling;
mod forced;
mod modules;
mod plan;
mod properties;
mod ranges;
mod reference;
mod refusals;
mod replacing;
mod reversing;
mod simulation;
mod thread;

use consistency::{Choice, Code, Completed, Function, Motion, PatchId, PatchState, Patches};

const P: PatchId = PatchId(1);
const Q: PatchId = PatchId(2);
const R: PatchId = PatchId(3);

const fn function(old: Code, new: Code) -> Function {
    Function { old, new }
}

const fn still(newest: Code) -> Choice {
    Choice {
        newest,
        older: newest,
        motion: Motion::Still,
    }
}

const fn coming(newest: Code, older: Code) -> Choice {
    Choice {
        newest,
        older,
        motion: Motion::Coming,
    }
}

const fn going(newest: Code, older: Code) -> Choice {
    Choice {
        newest,
        older,
        motion: Motion::Going,
    }
}

/// Patches that have been enabled one after the other, none of them in motion.
fn enabled(patches: &[(PatchId, &[Function])]) -> Patches {
    let mut model = Patches::new();
    for &(patch, functions) in patches {
        model.enable(patch, functions, false).unwrap();
        complete(&mut model);
    }
    model
}

/// Ends the transition, and looks whether it is gone.
fn complete(model: &mut Patches) -> Completed {
    let completed = model.complete().unwrap();
    assert_eq!(model.transition(), None);
    assert_eq!(model.leaving(), []);
    assert!(model.has_switched(PatchState(0)), "nothing to switch for");
    assert!(!model.is_on_new_side(PatchState(completed.transition.number())));
    completed
}

/// All choices.
fn choices(model: &Patches) -> Vec<(Code, Choice)> {
    model.functions().collect()
}
