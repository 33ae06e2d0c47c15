//! Transitions turned round.

use crate::*;
use consistency::Phase;

#[test]
fn a_patch_that_was_coming_goes() {
    let mut model = enabled(&[(P, &[function(10, 11)])]);
    model
        .enable(Q, &[function(10, 12), function(20, 22)], false)
        .unwrap();
    let (before, after) = (PatchState(1), model.goal());
    assert_eq!(model.leaving(), [11, 20]);
    model.reverse().unwrap();

    assert!(model.transition().unwrap().reversed());
    assert!(!model.transition().unwrap().ends_enabled());
    assert_eq!(model.phase(Q), Some(Phase::Enabling));
    assert_eq!(model.leaving(), [12, 22]);
    assert!(model.has_switched(before) && !model.has_switched(after));
    assert!(model.has_switched(model.goal()));
    assert!(!model.is_on_new_side(before) && model.is_on_new_side(after));
    assert_eq!(
        choices(&model),
        [(10, coming(12, 11)), (20, coming(22, 20))],
        "the sides are what they were"
    );

    let completed = complete(&mut model);
    assert_eq!((completed.removed, completed.released), (vec![Q], vec![20]));
    assert_eq!(choices(&model), [(10, still(11))]);
}

#[test]
fn a_patch_that_was_going_stays() {
    let mut model = enabled(&[
        (P, &[function(10, 11), function(20, 21), function(30, 31)]),
        (Q, &[function(10, 12)]),
        (R, &[function(30, 33)]),
    ]);
    model.disable(Q).unwrap();
    model.reverse().unwrap();
    assert_eq!(model.leaving(), [11]);
    assert!(model.transition().unwrap().ends_enabled());
    let completed = complete(&mut model);
    assert_eq!((completed.removed, completed.released), (vec![], vec![]));
    assert_eq!(model.choice(10), Some(still(12)));

    model.disable(P).unwrap();
    model.reverse().unwrap();
    assert_eq!(
        model.leaving(),
        [20],
        "the functions in the middle concern no thread"
    );
    complete(&mut model);
    assert!(model.patches().all(|(_, phase)| phase == Phase::Enabled));
    assert_eq!(
        choices(&model),
        [(10, still(12)), (20, still(21)), (30, still(33))]
    );
}

#[test]
fn a_second_reversal_undoes_the_first() {
    let mut model = Patches::new();
    model.enable(P, &[function(10, 11)], false).unwrap();
    let (goal, leaving) = (model.goal(), model.leaving().to_vec());
    model.reverse().unwrap();
    assert_ne!(model.goal(), goal);
    model.reverse().unwrap();
    assert_eq!((model.goal(), model.leaving()), (goal, &*leaving));
    assert!(model.has_switched(goal));
    assert!(complete(&mut model).removed.is_empty());
    assert_eq!(model.phase(P), Some(Phase::Enabled));
}
