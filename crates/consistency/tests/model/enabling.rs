//! A patch comes.

use crate::*;
use consistency::{Direction, Phase};

#[test]
fn a_transition_takes_threads_from_one_side_to_the_other() {
    let mut model = Patches::new();
    assert_eq!(model.enable(P, &[function(10, 11)], false), Ok(1));

    let transition = *model.transition().unwrap();
    assert_eq!((transition.number(), transition.patch()), (1, P));
    assert_eq!(transition.direction(), Direction::Enable);
    assert!(!transition.reversed() && !transition.forced() && !transition.replaces());
    assert!(transition.ends_enabled());
    assert_eq!(model.phase(P), Some(Phase::Enabling));
    assert_eq!(model.choice(10), Some(coming(11, 10)));
    assert_eq!(model.leaving(), [10]);

    let (before, after) = (PatchState(0), model.goal());
    assert!(!model.has_switched(before) && model.has_switched(after));
    assert!(!model.is_on_new_side(before) && model.is_on_new_side(after));

    let completed = complete(&mut model);
    assert_eq!(completed.transition, transition);
    assert_eq!((completed.removed, completed.released), (vec![], vec![]));
    assert!(!completed.forced);
    assert_eq!(model.phase(P), Some(Phase::Enabled));
    assert_eq!(model.choice(10), Some(still(11)));
    assert_eq!(
        model.enable(Q, &[], false),
        Ok(2),
        "numbers are not used again"
    );
    assert!(!model.has_switched(after), "the next transition is another");
}

#[test]
fn a_choice_depends_on_motion_and_side() {
    for (choice, old_side, new_side) in [
        (still(1), 1, 1),
        (coming(1, 2), 2, 1),
        (going(1, 2), 1, 2),
        // Whatever else the older one may be.
        (
            Choice {
                older: 9,
                ..still(1)
            },
            1,
            1,
        ),
    ] {
        assert_eq!(
            (choice.of(false), choice.of(true)),
            (old_side, new_side),
            "{choice:?}"
        );
    }
}

#[test]
fn the_newest_wins_and_the_one_below_is_left() {
    let mut model = enabled(&[(P, &[function(30, 31), function(10, 11)])]);
    model
        .enable(Q, &[function(10, 12), function(20, 22)], false)
        .unwrap();
    assert_eq!(
        choices(&model),
        [(10, coming(12, 11)), (20, coming(22, 20)), (30, still(31))]
    );
    assert_eq!(model.leaving(), [11, 20]);
    assert_eq!(model.choice(15), None);
    complete(&mut model);
    assert_eq!(
        choices(&model),
        [(10, still(12)), (20, still(22)), (30, still(31))]
    );
    let phases: Vec<_> = model.patches().collect();
    assert_eq!(phases, [(P, Phase::Enabled), (Q, Phase::Enabled)]);
}

#[test]
fn several_functions_may_share_a_replacement() {
    let mut model = enabled(&[(P, &[function(10, 99), function(20, 99)])]);
    model.enable(Q, &[function(10, 99)], false).unwrap();
    assert_eq!(model.choice(10), Some(coming(99, 99)));
    assert_eq!(
        model.leaving(),
        [99],
        "a thread in it may have called it before"
    );
    complete(&mut model);
    assert_eq!(model.owner(99), Some(Q));

    model.disable(P).unwrap();
    assert_eq!(choices(&model), [(10, still(99)), (20, going(99, 20))]);
    assert_eq!(model.leaving(), [99], "once");
    complete(&mut model);
    assert_eq!(choices(&model), [(10, still(99))]);

    model.disable(Q).unwrap();
    assert_eq!(complete(&mut model).released, [10]);
    assert_eq!(model.owner(99), None);
}

#[test]
fn owners_are_patches_and_never_the_originals() {
    let mut model = enabled(&[(P, &[function(10, 11), function(20, 21)])]);
    model.enable(Q, &[function(10, 12)], true).unwrap();
    assert_eq!(model.owner(11), Some(P));
    assert_eq!(model.owner(12), Some(Q));
    assert_eq!(model.owner(20), None, "put back, but not part of the patch");
    assert!(model.functions_of(Q).eq([function(10, 12)]));
    assert!(
        model
            .functions_of(P)
            .eq([function(10, 11), function(20, 21)])
    );
}
