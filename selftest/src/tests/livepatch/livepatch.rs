//! Patches of the kernel and of a module, one and several (test-livepatch.sh).

use super::{
    OLD, disable, enable, enable_replacing, file, function, is, load, noted, refused, remove,
    returns, undisturbed, unload,
};
use crate::check;
use core::hint::black_box;
use lab::targets;
use livepatch as klp;
use livepatch::{Options, Status};

crate::selftest! {
    /// Enabled, calls run the new functions; disabled, the old ones.
    fn basic_function_patching() {
        undisturbed(|| {
            returns(OLD)?;
            enable("test_klp_livepatch")?;
            returns([11, 12, 3])?;
            remove("test_klp_livepatch")?;
            returns(OLD)
        })
    }

    /// One function of each kind that can be replaced: results in one register, in
    /// two and through a pointer, arguments on the stack, C.
    fn every_kind_of_function() {
        undisturbed(|| {
            let counted = targets::c_counts(10);
            enable("kinds")?;
            check!(targets::leaf(black_box(5)) == 17, "leaf");
            check!(targets::c_counts(10) == 20 + 31, "counts");
            check!(targets::divide(black_box(7), 2).first == 3, "divide");
            check!(targets::divide(black_box(7), 0).first == u64::MAX, "divide by 0");
            let sum = targets::sum12(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, black_box(12));
            check!(sum == 650 + 39, "sum12 {sum}");
            check!(targets::report(black_box(7)).values == [7, 14, 21], "report");
            check!(targets::is_even(black_box(8)), "is_even");
            check!(targets::find(black_box(49), 10) == 7, "find");
            targets::nothing();
            remove("kinds")?;
            check!(targets::leaf(black_box(5)) == 16, "leaf afterwards");
            check!(targets::c_counts(10) == counted + 1, "counts afterwards");
            Ok(())
        })
    }

    /// The newest of several wins; without it the one before shows.
    fn multiple_livepatches() {
        undisturbed(|| {
            enable("test_klp_livepatch")?;
            returns([11, 12, 3])?;
            enable("test_klp_second")?;
            returns([21, 22, 3])?;
            disable("test_klp_second")?;
            returns([11, 12, 3])?;
            unload("test_klp_second")?;
            remove("test_klp_livepatch")?;
            returns(OLD)
        })
    }

    /// A patch takes the place of all others: what it does not replace is the old
    /// function again, and the others are not enabled any more.
    fn atomic_replace_livepatch() {
        undisturbed(|| {
            enable("test_klp_livepatch")?;
            enable("test_klp_second")?;
            returns([21, 22, 3])?;
            enable_replacing("test_klp_atomic_replace")?;
            returns([1, 32, 33])?;
            for replaced in ["test_klp_livepatch", "test_klp_second"] {
                is(replaced, None)?;
                unload(replaced)?;
            }
            returns([1, 32, 33])?;
            remove("test_klp_atomic_replace")?;
            returns(OLD)
        })
    }

    /// The same patch without that flag lies on top of the others.
    fn no_replace() {
        undisturbed(|| {
            enable("test_klp_livepatch")?;
            enable("test_klp_atomic_replace")?;
            returns([11, 32, 33])?;
            remove("test_klp_livepatch")?;
            returns([1, 32, 33])?;
            remove("test_klp_atomic_replace")?;
            returns(OLD)
        })
    }

    /// A function of a module: the module is there first.
    fn module_function_patching() {
        undisturbed(|| {
            let target = load("test_klp_mod_target")?;
            let work = function(&target, "test_klp_mod_target::work")?;
            check!(work(5) == 10, "before");
            enable("test_klp_mod_patch")?;
            check!(work(5) == 15, "patched");
            noted(&[
                "test_klp_mod_patch: pre_patch: test_klp_mod_target",
                "test_klp_mod_patch: post_patch: test_klp_mod_target",
            ])?;
            remove("test_klp_mod_patch")?;
            check!(work(5) == 10, "after");
            drop(target);
            unload("test_klp_mod_target")
        })
    }

    /// The patch is there first: the module's function is patched before any code can
    /// call it; and again when the module comes again.
    fn module_function_patching_livepatch_first() {
        undisturbed(|| {
            enable("test_klp_mod_patch")?;
            noted(&[])?;
            for _ in 0..2 {
                let target = load("test_klp_mod_target")?;
                let work = function(&target, "test_klp_mod_target::work")?;
                check!(work(5) == 15, "the first call is not patched");
                noted(&[
                    "test_klp_mod_patch: pre_patch: test_klp_mod_target",
                    "test_klp_mod_patch: post_patch: test_klp_mod_target",
                ])?;
                let entry = work as usize as u64;
                check!(klp::way_of(entry).is_some(), "its calls take the long way");
                drop(target);
                unload("test_klp_mod_target")?;
                noted(&[
                    "test_klp_mod_patch: pre_unpatch: test_klp_mod_target",
                    "test_klp_mod_patch: post_unpatch: test_klp_mod_target",
                ])?;
            }
            remove("test_klp_mod_patch")?;
            noted(&[])?;
            let target = load("test_klp_mod_target")?;
            let work = function(&target, "test_klp_mod_target::work")?;
            check!(work(5) == 10, "after");
            drop(target);
            unload("test_klp_mod_target")
        })
    }

    /// A function that the module does not have: the patch is refused if the module
    /// is there, and the module if the patch is.
    fn missing_function() {
        undisturbed(|| {
            let target = load("test_klp_mod_target")?;
            let missing = file("test_klp_mod_missing")?;
            let no_function = "module `test_klp_mod_target` has no function `test_klp_mod_target::play`: no symbol `test_klp_mod_target::play`";
            let result = klp::load(missing, Options::default());
            refused("the patch", result, no_function)?;
            is("test_klp_mod_missing", None)?;
            check!(loader::find("test_klp_mod_missing").is_none(), "its module is still loaded");
            drop(target);
            unload("test_klp_mod_target")?;

            enable("test_klp_mod_missing")?;
            let result = loader::load(file("test_klp_mod_target")?);
            let expected = alloc::format!("module `test_klp_mod_target` is not wanted: {no_function}");
            refused("the module", result, &expected)?;
            check!(loader::find("test_klp_mod_target").is_none(), "the module is there all the same");
            is("test_klp_mod_missing", Some(Status::Enabled))?;
            remove("test_klp_mod_missing")
        })
    }

    /// Of two patches of a module, the second can't be applied: what the first has
    /// done is undone, callbacks included, in the order of Linux.
    fn refused_by_the_second_patch() {
        undisturbed(|| {
            enable("test_klp_mod_patch")?;
            enable("test_klp_mod_missing")?;
            let result = loader::load(file("test_klp_mod_target")?);
            check!(result.is_err(), "the module was loaded");
            noted(&[
                "test_klp_mod_patch: pre_patch: test_klp_mod_target",
                "test_klp_mod_patch: post_patch: test_klp_mod_target",
                "test_klp_mod_patch: pre_unpatch: test_klp_mod_target",
                "test_klp_mod_patch: post_unpatch: test_klp_mod_target",
            ])?;
            remove("test_klp_mod_missing")?;
            let target = load("test_klp_mod_target")?;
            check!(function(&target, "test_klp_mod_target::work")?(5) == 15, "not patched");
            drop(target);
            unload("test_klp_mod_target")?;
            remove("test_klp_mod_patch")
        })
    }
}
