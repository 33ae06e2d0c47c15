//! The proof, on the patches themselves, at every optimisation level.

use xtask::modules;
use xtask::proof::{Outcome, prove};

#[test]
fn the_patches_keep_their_convention_at_every_level() {
    let mut proved = 0;
    for level in ["0", "1", "2", "3", "s"] {
        for module in modules::link_all(Some(level)).unwrap() {
            let name = &module.name;
            match prove(&module.bytes).unwrap() {
                Outcome::NotNeeded => {}
                Outcome::Proved(count) => proved += count,
                Outcome::Violated(found) => {
                    let lines: String = found.iter().map(|v| format!("\n  {v}")).collect();
                    panic!("{name} at level {level}:{lines}");
                }
            }
        }
    }
    assert!(proved >= 5, "only {proved} functions to prove");
}
