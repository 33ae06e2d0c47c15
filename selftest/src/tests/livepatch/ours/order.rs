//! The order in which patches come and go.

use super::super::{
    OLD, Staying, disable, enable, enable_replacing, ends_as, quietly, refused, remove, replacing,
    returns, start, text, undisturbed, unload,
};
use crate::check;
use lab::targets::{self, live};
use livepatch as klp;

const PATCHES: [&str; 3] = [
    "test_klp_livepatch",
    "test_klp_second",
    "test_klp_atomic_replace",
];

/// What [`returns`] finds with these of [`PATCHES`] enabled.
fn expected(enabled: [bool; 3]) -> [u64; 3] {
    let [first, second, third] = enabled;
    let newest = |first: bool, second: bool, third: bool, old: u64| match (third, second, first) {
        (true, ..) => old + 30,
        (_, true, _) => old + 20,
        (.., true) => old + 10,
        _ => old,
    };
    [
        newest(first, second, false, 1),
        newest(first, second, third, 2),
        newest(false, false, third, 3),
    ]
}

crate::selftest! {
    /// Three patches of one function, disabled in every order.
    fn disabled_in_any_order() {
        undisturbed(|| {
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let mut enabled = [false; 3];
                for (name, enabled_now) in PATCHES.iter().zip(0..) {
                    enable(name)?;
                    enabled[enabled_now] = true;
                }
                returns(expected(enabled))?;
                for index in order {
                    remove(PATCHES[index])?;
                    enabled[index] = false;
                    returns(expected(enabled))?;
                }
            }
            returns(OLD)
        })
    }

    /// Of two functions that have the same body, a patch replaces the one that it names.
    fn the_other_twin_stays() {
        undisturbed(|| {
            let all = || [targets::twin(4), targets::other_twin(4), targets::c_twins(4) as u64];
            check!(all() == [7, 7, 13_013], "{:?}", all());
            enable("position")?;
            check!(all() == [8, 7, 13_014], "{:?}", all());
            remove("position")?;
            check!(all() == [7, 7, 13_013], "{:?}", all());
            Ok(())
        })
    }

    /// A patch that is enabled again is the newest again.
    fn enabled_again() {
        undisturbed(|| {
            enable(PATCHES[0])?;
            enable(PATCHES[1])?;
            disable(PATCHES[0])?;
            returns([21, 22, 3])?;
            let module = loader::find(PATCHES[0]).ok_or("its module is gone")?;
            klp::enable(&module, klp::Options::default()).map_err(text)?;
            drop(module);
            klp::wait();
            returns([11, 12, 3])?;
            remove(PATCHES[1])?;
            returns([11, 12, 3])?;
            remove(PATCHES[0])?;
            returns(OLD)
        })
    }

    /// A patch that has been replaced is not enabled, and can be enabled again, in
    /// its turn above the other or in its place.
    fn replaced_and_enabled_again() {
        undisturbed(|| {
            enable_replacing(PATCHES[0])?;
            enable_replacing(PATCHES[2])?;
            refused("disabling it", klp::disable(PATCHES[0]), "patch `test_klp_livepatch` is not enabled")?;
            returns([1, 32, 33])?;
            let module = loader::find(PATCHES[0]).ok_or("its module is gone")?;
            klp::enable(&module, klp::Options::default()).map_err(text)?;
            drop(module);
            klp::wait();
            returns([11, 12, 3])?;
            unload(PATCHES[2])?;
            remove(PATCHES[0])?;
            returns(OLD)
        })
    }

    /// In a transition of the second of two patches, the first is what the other side
    /// runs, and not the original.
    fn both_sides_of_the_second_patch() {
        undisturbed(|| {
            enable(PATCHES[0])?;
            for is_coming in [true, false] {
                // Passes no safe point before its call, so it stays on the old side.
                let spinner = Staying::start("spinner", 0, || {
                    live::test_stay(live::SPINNING);
                    live::one(0)
                })?;
                if is_coming {
                    start(PATCHES[1])?;
                    returns([21, 22, 3])?;
                    spinner.returns(11)?;
                    ends_as(PATCHES[1], Some(klp::Status::Enabled))?;
                } else {
                    klp::disable(PATCHES[1]).map_err(text)?;
                    returns([11, 12, 3])?;
                    spinner.returns(21)?;
                    ends_as(PATCHES[1], None)?;
                }
            }
            unload(PATCHES[1])?;
            remove(PATCHES[0])
        })
    }

    /// While a patch takes the place of another, functions that it leaves alone are the
    /// originals for threads that have switched, and the other's for those that have not.
    fn both_sides_of_a_replacement() {
        undisturbed(|| {
            enable(PATCHES[0])?;
            let spinner = Staying::start("spinner", 0, || {
                live::test_stay(live::SPINNING);
                100 * live::one(0) + live::two(0)
            })?;
            klp::load(&replacing(PATCHES[2])?, klp::Options::default()).map_err(text)?;
            returns([1, 32, 33])?;
            spinner.returns(1112)?;
            ends_as(PATCHES[2], Some(klp::Status::Enabled))?;
            returns([1, 32, 33])?;
            remove(PATCHES[2])?;
            unload(PATCHES[0])?;
            returns(OLD)
        })
    }

    /// The settled stub of a patch is given back when the transition to the next one has
    /// ended.
    fn left_stubs_are_given_back() {
        undisturbed(|| {
            enable(PATCHES[0])?;
            enable(PATCHES[1])?;
            let retired = ftrace::retired();
            remove(PATCHES[1])?;
            remove(PATCHES[0])?;
            check!(retired == 0, "{retired} pieces of code wait to be given back");
            Ok(())
        })
    }

    /// Twenty times in and out.
    fn many_times() {
        undisturbed(|| {
            quietly(|| -> crate::tests::Result {
                for _ in 0..20 {
                    enable("test_klp_livepatch")?;
                    enable("test_klp_stays")?;
                    remove("test_klp_livepatch")?;
                    remove("test_klp_stays")?;
                }
                Ok(())
            })?;
            returns(OLD)
        })
    }
}
