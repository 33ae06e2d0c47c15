//! The proof, on the patches themselves, at every optimisation level.

use klp::Convention;
use xtask::image::Image;
use xtask::modules;
use xtask::proof::{EXERCISES, Outcome, is_failed_control, prove};

/// A module that is built plain whatever convention is asked for, and must be proved.
const KEEPS_TOC: &str = "cases-kernels-toc";

/// Builds the patches at each level, and counts their functions that are proved,
/// and those that fail as they must.
fn outcomes(convention: Convention, levels: &[&str]) -> (usize, usize) {
    let (mut proved, mut failed) = (0, 0);
    for level in levels {
        for module in modules::link_all(Image::Test, convention, Some(level)).unwrap() {
            let name = &module.name;
            // Not mended yet.
            if EXERCISES.contains(&name.as_str())
                || name == KEEPS_TOC && convention != Convention::Plain
            {
                continue;
            }
            let outcome = prove(&module.bytes).unwrap();
            if is_failed_control(name, &outcome) {
                continue;
            }
            match outcome {
                Outcome::NotNeeded => {}
                Outcome::Proved(count) => proved += count,
                Outcome::FailsAsPosted(count) => failed += count,
                Outcome::Violated(found) => {
                    let lines: String = found.iter().map(|v| format!("\n  {v}")).collect();
                    panic!("{name} ({}) at level {level}:{lines}", convention.name());
                }
            }
        }
    }
    (proved, failed)
}

#[test]
fn the_patches_keep_their_convention_at_every_level() {
    for convention in [Convention::Epilogue, Convention::Pcrel] {
        let (proved, failed) = outcomes(convention, &["0", "1", "2", "3", "s"]);
        let name = convention.name();
        assert!(proved >= 25, "{name}: only {proved} functions to prove");
        assert_eq!(failed, 0, "{name}");
    }
}

#[test]
fn as_posted_none_of_them_keeps_it() {
    let (proved, failed) = outcomes(Convention::AsPosted, &["0", "2"]);
    assert!(failed >= 10, "only {failed} functions fail");
    assert_eq!(proved, 0);
}

#[test]
fn without_a_convention_frames_are_looked_at_and_modules_that_keep_the_kernels_toc() {
    let (proved, failed) = outcomes(Convention::Plain, &["0", "1", "2", "3", "s"]);
    assert!(proved >= 40, "only {proved} functions to prove");
    assert_eq!(failed, 0);
}
