//! What is refused, with which sentence, and that nothing has changed.

use crate::*;
use consistency::ModelError;

/// Has `attempt` refused by a model with P and Q enabled, and with R on its way
/// if `moving`.
#[track_caller]
fn refused<T: core::fmt::Debug + PartialEq>(
    moving: bool,
    attempt: impl Fn(&mut Patches) -> Result<T, ModelError>,
    refusal: ModelError,
    sentence: &str,
) {
    let mut model = enabled(&[(P, &[function(0x10, 0x11)]), (Q, &[function(0x10, 0x12)])]);
    if moving {
        model.enable(R, &[function(0x20, 0x23)], false).unwrap();
    }
    let before = model.clone();
    assert_eq!(attempt(&mut model), Err(refusal));
    assert_eq!(model, before);
    assert_eq!(refusal.to_string(), sentence);
}

#[test]
fn one_transition_at_a_time() {
    let refusal = ModelError::TransitionRuns { patch: R };
    let sentence = "the transition of patch 3 has not completed";
    for patch in [P, R, PatchId(4)] {
        refused(true, |m| m.enable(patch, &[], false), refusal, sentence);
        refused(true, |m| m.enable(patch, &[], true), refusal, sentence);
        refused(true, |m| m.disable(patch), refusal, sentence);
    }
}

#[test]
fn a_patch_is_enabled_once() {
    let sentence = "patch 1 is already enabled";
    for replace in [false, true] {
        refused(
            false,
            |m| m.enable(P, &[function(0x30, 0x31)], replace),
            ModelError::Enabled(P),
            sentence,
        );
    }
}

#[test]
fn only_a_patch_that_is_there_changes() {
    let refusal = ModelError::NotEnabled(R);
    let sentence = "patch 3 is not enabled";
    refused(false, |m| m.disable(R), refusal, sentence);
    refused(
        false,
        |m| m.add_functions(R, &[function(0x30, 0x31)]),
        refusal,
        sentence,
    );
}

#[test]
fn without_a_transition_there_is_none_to_turn_or_end() {
    let sentence = "no transition is running";
    refused(false, Patches::reverse, ModelError::NoTransition, sentence);
    refused(false, Patches::complete, ModelError::NoTransition, sentence);
}

#[test]
fn a_patch_replaces_a_function_once() {
    let refusal = ModelError::FunctionTwice { old: 0x10 };
    let sentence = "the patch replaces the function at 0x10 twice";
    let twice = [
        function(0x10, 0x13),
        function(0x30, 0x33),
        function(0x10, 0x13),
    ];
    refused(false, |m| m.enable(R, &twice, false), refusal, sentence);
    refused(
        false,
        |m| m.add_functions(P, &twice[1..]),
        refusal,
        sentence,
    );
    refused(true, |m| m.add_functions(P, &twice[..1]), refusal, sentence);
    refused(true, |m| m.add_functions(R, &twice), refusal, sentence);
}

#[test]
fn a_patch_replaces_a_function_by_another() {
    let refusal = ModelError::Itself { old: 0x30 };
    let sentence = "the patch replaces the function at 0x30 with that function itself";
    let functions = [function(0x40, 0x41), function(0x30, 0x30)];
    refused(false, |m| m.enable(R, &functions, true), refusal, sentence);
    refused(true, |m| m.add_functions(R, &functions), refusal, sentence);
}
