//! Patches of other patches' replacement functions: refused, whichever comes first.

use super::super::{
    OLD, disable, enable, file, refused, remove, returns, text, undisturbed, unload,
};
use crate::check;
use alloc::{string::String, sync::Arc, vec::Vec};
use livepatch as klp;
use livepatch::Options;
use loader::Module;

/// Replaces functions of the kernel's.
const FIRST: &str = "test_klp_livepatch";
/// Is for a function of the first.
const SECOND: &str = "test_klp_over_that";
/// Is made of the second's file, for the second's function.
const THIRD: &str = "test_klp_over_more";

const SECOND_ON_FIRST: &str = "patch `test_klp_over_that` can't replace `test_klp_livepatch::one`, which is a replacement function itself: replace `lab::targets::live::one` instead";

/// The second's file, with other names in it, each as long as what it takes the place of.
fn renamed(names: [(&str, &str); 2]) -> Result<Vec<u8>, String> {
    let mut file = file(SECOND)?.to_vec();
    let mut place = 0;
    while place < file.len() {
        let found = names
            .iter()
            .find(|(from, _)| file[place..].starts_with(from.as_bytes()));
        place += match found {
            Some((from, to)) => {
                file[place..place + from.len()].copy_from_slice(to.as_bytes());
                from.len()
            }
            None => 1,
        };
    }
    Ok(file)
}

fn load(file: &[u8]) -> Result<Arc<Module>, String> {
    loader::load(file).map_err(text)
}

/// Tries to enable the patch of a loaded module.
fn is_refused(patch: &Arc<Module>, expected: &str) -> Result<(), String> {
    refused(
        &patch.name,
        klp::enable(patch, Options::default()),
        expected,
    )?;
    check!(klp::running().is_none(), "a transition runs");
    check!(klp::find(&patch.name).is_none(), "it is enabled");
    Ok(())
}

crate::selftest! {
    /// The other patch is there: enabled, loaded and not enabled, loaded after this one.
    fn the_other_is_there() {
        undisturbed(|| {
            enable(FIRST)?;
            refused(SECOND, klp::load(file(SECOND)?, Options::default()), SECOND_ON_FIRST)?;
            check!(loader::find(SECOND).is_none(), "it is loaded");
            returns([11, 12, 3])?;

            disable(FIRST)?;
            let second = load(file(SECOND)?)?;
            is_refused(&second, SECOND_ON_FIRST)?;
            unload(FIRST)?;

            let first = load(file(FIRST)?)?;
            is_refused(&second, SECOND_ON_FIRST)?;
            drop((first, second));
            enable_loaded(FIRST)?;
            returns([11, 12, 3])?;
            remove(FIRST)?;
            unload(SECOND)?;
            returns(OLD)
        })
    }

    /// This one is enabled before the other is loaded: then the other can't come.
    fn the_other_comes() {
        undisturbed(|| {
            enable(SECOND)?;
            for _ in 0..2 {
                let expected = alloc::format!("module `{FIRST}` is not wanted: {SECOND_ON_FIRST}");
                refused(FIRST, load(file(FIRST)?), &expected)?;
                check!(loader::find(FIRST).is_none(), "it is loaded");
                returns(OLD)?;
            }
            remove(SECOND)?;
            enable(FIRST)?;
            remove(FIRST)
        })
    }

    /// A patch of a patch of a patch, in any order. What is to be replaced instead is at
    /// the end of the chain, as far as that is loaded.
    fn through_a_chain() {
        undisturbed(|| {
            let third_file = renamed([(SECOND, THIRD), (FIRST, SECOND)])?;
            let sentence = |original| alloc::format!("patch `{THIRD}` can't replace `{SECOND}::one`, which is a replacement function itself: replace `{original}` instead");
            let to_first = sentence("test_klp_livepatch::one");
            let to_kernel = sentence("lab::targets::live::one");

            let third = load(&third_file)?;
            let second = load(file(SECOND)?)?;
            is_refused(&third, &to_first)?;
            let first = load(file(FIRST)?)?;
            is_refused(&third, &to_kernel)?;
            is_refused(&second, SECOND_ON_FIRST)?;
            drop((first, second, third));
            for name in [SECOND, FIRST, THIRD] {
                unload(name)?;
            }

            klp::load(&third_file, Options::default()).map_err(text)?;
            klp::wait();
            enable(FIRST)?;
            let expected = alloc::format!("module `{SECOND}` is not wanted: {to_kernel}");
            refused(SECOND, load(file(SECOND)?), &expected)?;
            returns([11, 12, 3])?;
            remove(FIRST)?;
            remove(THIRD)
        })
    }

    /// Two that are for one another's replacement functions.
    fn in_a_circle() {
        undisturbed(|| {
            let one = load(&renamed([(SECOND, THIRD), (FIRST, SECOND)])?)?;
            let other = load(&renamed([(SECOND, SECOND), (FIRST, THIRD)])?)?;
            is_refused(&one, "patch `test_klp_over_more` can't replace `test_klp_over_that::one`, which is a replacement function itself")?;
            is_refused(&other, "patch `test_klp_over_that` can't replace `test_klp_over_more::one`, which is a replacement function itself")?;
            drop((one, other));
            unload(SECOND)?;
            unload(THIRD)
        })
    }
}

/// Enables the patch of a loaded module, all the way.
fn enable_loaded(name: &str) -> Result<(), String> {
    let module = loader::find(name).ok_or("its module is gone")?;
    klp::enable(&module, Options::default()).map_err(text)?;
    klp::wait();
    Ok(())
}
