//! A patch goes, in whatever order.

use crate::*;
use consistency::{Direction, Phase};

#[test]
fn the_newest_goes() {
    let mut model = enabled(&[(P, &[function(10, 11)]), (Q, &[function(10, 12)])]);
    assert_eq!(model.disable(Q), Ok(3));
    assert_eq!(model.transition().unwrap().direction(), Direction::Disable);
    assert!(!model.transition().unwrap().ends_enabled());
    assert_eq!(model.phase(Q), Some(Phase::Disabling));
    assert_eq!(choices(&model), [(10, going(12, 11))]);
    assert_eq!(model.leaving(), [12]);
    let completed = complete(&mut model);
    assert_eq!((completed.removed, completed.released), (vec![Q], vec![]));
    assert_eq!(choices(&model), [(10, still(11))]);
    assert_eq!(model.phase(Q), None);
}

#[test]
fn one_in_the_middle_goes_unnoticed() {
    let mut model = enabled(&[
        (P, &[function(10, 11), function(20, 21)]),
        (Q, &[function(10, 12)]),
    ]);
    model.disable(P).unwrap();
    assert_eq!(choices(&model), [(10, still(12)), (20, going(21, 20))]);
    assert_eq!(
        model.leaving(),
        [11, 21],
        "a thread may be in 11 if Q was forced"
    );
    let completed = complete(&mut model);
    assert_eq!((completed.removed, completed.released), (vec![P], vec![20]));
    assert_eq!(choices(&model), [(10, still(12))]);
    model.disable(Q).unwrap();
    assert_eq!(choices(&model), [(10, going(12, 10))], "P is gone");
    assert_eq!(complete(&mut model).released, [10]);
    assert_eq!(choices(&model), []);
    assert_eq!(model.patches().count(), 0);
}

#[test]
fn a_patch_that_is_gone_may_come_again_as_the_newest() {
    let mut model = enabled(&[(P, &[function(10, 11)]), (Q, &[function(10, 12)])]);
    model.disable(P).unwrap();
    complete(&mut model);
    model.enable(P, &[function(10, 11)], false).unwrap();
    assert_eq!(choices(&model), [(10, coming(11, 12))]);
    assert!(model.patches().map(|(patch, _)| patch).eq([Q, P]));
}
