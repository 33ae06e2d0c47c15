//! A patch that takes the place of all others.

use crate::*;

/// Two patches, and a third on its way to take their place.
fn replacing() -> Patches {
    let mut model = enabled(&[
        (P, &[function(10, 11), function(20, 21)]),
        (Q, &[function(10, 12), function(30, 32)]),
    ]);
    let functions = [function(10, 13), function(40, 43)];
    model.enable(R, &functions, true).unwrap();
    assert!(model.transition().unwrap().replaces());
    model
}

#[test]
fn functions_that_it_leaves_out_go_back_to_the_original() {
    let mut model = replacing();
    assert_eq!(
        choices(&model),
        [
            (10, coming(13, 12)),
            (20, coming(20, 21)),
            (30, coming(30, 32)),
            (40, coming(43, 40)),
        ]
    );
    assert_eq!(
        model.leaving(),
        [11, 12, 21, 32, 40],
        "all that will be freed, and the originals that it replaces"
    );
    let completed = complete(&mut model);
    assert_eq!(completed.removed, [P, Q]);
    assert_eq!(completed.released, [20, 30]);
    assert_eq!(choices(&model), [(10, still(13)), (40, still(43))]);
    assert!(model.patches().map(|(patch, _)| patch).eq([R]));

    model.disable(R).unwrap();
    assert_eq!(choices(&model), [(10, going(13, 10)), (40, going(43, 40))]);
    assert_eq!(complete(&mut model).released, [10, 40]);
}

#[test]
fn reversed_it_goes_and_the_others_stay() {
    let mut model = replacing();
    model.reverse().unwrap();
    assert_eq!(
        model.leaving(),
        [13, 20, 30, 43],
        "also the originals that it put back"
    );
    let completed = complete(&mut model);
    assert_eq!((completed.removed, completed.released), (vec![R], vec![40]));
    assert_eq!(
        choices(&model),
        [(10, still(12)), (20, still(21)), (30, still(32))]
    );
}

#[test]
fn with_nothing_to_replace_it_is_like_any_other() {
    let mut model = Patches::new();
    model.enable(P, &[function(10, 11)], true).unwrap();
    assert_eq!(model.leaving(), [10]);
    let completed = complete(&mut model);
    assert_eq!((completed.removed, completed.released), (vec![], vec![]));
    // And it replaces once, not for ever.
    model.enable(Q, &[function(20, 22)], false).unwrap();
    assert!(complete(&mut model).removed.is_empty());
    model.enable(R, &[], true).unwrap();
    let completed = complete(&mut model);
    assert_eq!(
        (completed.removed, completed.released),
        (vec![P, Q], vec![10, 20])
    );
}
