//! Functions of modules that come late or go early.

use crate::*;
use consistency::Phase;

#[test]
fn they_join_their_patches_places_in_any_order() {
    let mut model = enabled(&[(P, &[]), (Q, &[function(10, 12)]), (R, &[])]);
    for (patch, new) in [(Q, 22), (R, 23), (P, 21)] {
        model.add_functions(patch, &[function(20, new)]).unwrap();
    }
    assert_eq!(choices(&model), [(10, still(12)), (20, still(23))]);
    for (patch, next) in [(R, still(22)), (Q, still(21))] {
        model.disable(patch).unwrap();
        complete(&mut model);
        assert_eq!(model.choice(20), Some(next));
    }
}

#[test]
fn they_join_their_patches_motion() {
    let mut model = enabled(&[(P, &[]), (Q, &[])]);
    model.disable(P).unwrap();
    model.add_functions(P, &[function(20, 21)]).unwrap();
    assert_eq!(model.choice(20), Some(going(21, 20)));
    model.add_functions(Q, &[function(20, 22)]).unwrap();
    assert_eq!(model.choice(20), Some(still(22)));
    assert_eq!(model.leaving(), [21]);
    assert_eq!(complete(&mut model).removed, [P]);

    model.enable(R, &[], false).unwrap();
    model.reverse().unwrap();
    model.add_functions(R, &[function(20, 23)]).unwrap();
    assert_eq!(model.choice(20), Some(coming(23, 22)));
    assert_eq!(model.leaving(), [23]);
}

#[test]
fn a_patch_that_replaces_all_others_puts_the_originals_of_late_ones_back() {
    let mut model = enabled(&[(P, &[])]);
    model.enable(Q, &[], true).unwrap();
    model
        .add_functions(P, &[function(20, 21), function(30, 31)])
        .unwrap();
    assert_eq!(
        choices(&model),
        [(20, coming(20, 21)), (30, coming(30, 31))]
    );
    model.add_functions(Q, &[function(20, 22)]).unwrap();
    assert_eq!(model.choice(20), Some(coming(22, 21)), "it has its own");
    assert_eq!(model.leaving(), [21, 31]);
    assert_eq!(complete(&mut model).released, [30]);
    assert_eq!(choices(&model), [(20, still(22))]);
}

#[test]
fn gone_they_are_forgotten_by_all() {
    let mut model = enabled(&[
        (P, &[function(10, 11), function(20, 21), function(30, 31)]),
        (Q, &[function(20, 22)]),
    ]);
    model.disable(P).unwrap();
    assert_eq!(model.remove_functions(|old| old >= 20), [20, 30]);
    assert_eq!(model.remove_functions(|old| old >= 20), []);
    assert_eq!(choices(&model), [(10, going(11, 10))]);
    assert_eq!(model.leaving(), [11]);
    assert_eq!(model.functions_of(Q).count(), 0);
    assert_eq!(model.phase(Q), Some(Phase::Enabled), "with no functions");
    model.add_functions(Q, &[function(20, 22)]).unwrap();
    assert_eq!(model.choice(20), Some(still(22)));
    assert_eq!(complete(&mut model).released, [10]);
}
