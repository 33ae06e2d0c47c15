//! Force is noted, and changes nothing else.

use crate::*;

#[test]
fn what_was_forced_says_so() {
    let mut model = Patches::new();
    model.enable(P, &[function(10, 11)], false).unwrap();
    model.force();
    assert!(model.transition().unwrap().forced());
    assert_eq!(model.leaving(), [10]);
    let completed = complete(&mut model);
    assert!(completed.forced && completed.transition.forced());

    model.disable(P).unwrap();
    let completed = complete(&mut model);
    assert!(!completed.forced, "only that one was forced");
    assert_eq!(completed.removed, [P]);
}

#[test]
fn a_reversal_does_not_undo_force() {
    let mut model = Patches::new();
    model.enable(P, &[function(10, 11)], false).unwrap();
    model.force();
    model.reverse().unwrap();
    let completed = complete(&mut model);
    assert!(completed.forced, "a thread may be in the code of P");
    assert_eq!(completed.removed, [P]);
}

#[test]
fn without_a_transition_there_is_nothing_to_force() {
    let mut model = enabled(&[(P, &[function(10, 11)])]);
    model.force();
    model.disable(P).unwrap();
    assert!(!complete(&mut model).forced);
}
