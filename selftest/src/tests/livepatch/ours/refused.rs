//! Transitions that can't begin, because a site holds another word than it should, or the
//! module was loaded for another variant.

use super::super::{
    OLD, disable, enable, file, is, load, noted, refused, remove, returns, text, undisturbed,
    unload,
};
use crate::{check, tests::Result};
use lab::targets::live;
use livepatch as klp;
use livepatch::{LivepatchError, Options, Status, variants};
use machine::{arch, text as code};
use ppc64::insn;

/// Runs something while the site of a patched function holds a nop, as if the function were
/// not patched: something that finds out, and says so.
fn with_damaged_site<T>(
    function: u64,
    body: impl FnOnce() -> core::result::Result<T, LivepatchError>,
) -> Result {
    let site = ftrace::find_site(function).ok_or("it has no site")?;
    // SAFETY: a word of code, which the nop may stand for.
    let word = unsafe {
        let word = arch::load_instruction(site.address);
        code::write_unchecked(site.address, insn::NOP);
        word
    };
    let result = body();
    // SAFETY: as it was.
    unsafe { code::write_unchecked(site.address, word) };
    match result {
        Err(LivepatchError::Ftrace(error)) => {
            println!("refused: a site holds another word");
            check!(word != insn::NOP, "{error}, though the site was not in use");
            Ok(())
        }
        Err(error) => Err(alloc::format!("refused as `{error}`")),
        Ok(_) => Err("a damaged site was not noticed".into()),
    }
}

crate::selftest! {
    /// A module that was relocated against its own TOC is refused by the variant that hands
    /// calls over with the kernel's.
    fn another_variants_toc() {
        const PATCH: &str = "test_klp_livepatch";
        undisturbed(|| {
            let before = variants::current().name;
            variants::choose("mini-frame").map_err(text)?;
            let result = load(PATCH).and_then(|module| {
                variants::choose("shared-toc").map_err(text)?;
                Ok(klp::enable(&module, Options::default()))
            });
            let chosen = variants::choose(before).map_err(text);
            let expected = "module `test_klp_livepatch` was loaded with another TOC than variant `shared-toc` asks for";
            refused("enabling it", result?, expected)?;
            chosen?;
            returns(OLD)?;
            unload(PATCH)
        })
    }

    /// When disabling fails, no callback is called: they are for a transition that begins.
    fn disabling_calls_no_callback_in_vain() {
        const PATCH: &str = "test_klp_mod_patch";
        const TARGET: &str = "test_klp_mod_target";
        undisturbed(|| {
            let target = load(TARGET)?;
            let work = target.function("test_klp_mod_target::work").ok_or("it has no `work`")?;
            drop(target);
            enable(PATCH)?;
            noted(&[
                "test_klp_mod_patch: pre_patch: test_klp_mod_target",
                "test_klp_mod_patch: post_patch: test_klp_mod_target",
            ])?;
            with_damaged_site(work, || klp::disable(PATCH))?;
            noted(&[])?;
            is(PATCH, Some(Status::Enabled))?;
            check!(klp::way_of(work).is_some(), "its calls take the long way");
            disable(PATCH)?;
            noted(&[
                "test_klp_mod_patch: pre_unpatch: test_klp_mod_target",
                "test_klp_mod_patch: post_unpatch: test_klp_mod_target",
            ])?;
            unload(PATCH)?;
            unload(TARGET)
        })
    }

    /// A transition that can't begin leaves calls of the other functions on the short way,
    /// whichever comes first.
    fn other_functions_stay_settled() {
        const FIRST: &str = "test_klp_livepatch";
        const SECOND: &str = "test_klp_second";
        undisturbed(|| {
            let second = file(SECOND)?;
            enable(FIRST)?;
            let functions = [live::one, live::two].map(|function| function as *const () as u64);
            for damaged in functions {
                let ways = functions.map(klp::way_of);
                check!(ways.iter().all(Option::is_some), "not settled: {ways:x?}");
                let all_settled = || functions.iter().all(|&function| klp::way_of(function).is_some());
                with_damaged_site(damaged, || klp::disable(FIRST))?;
                check!(all_settled(), "after disabling it, calls take the long way");
                with_damaged_site(damaged, || klp::load(second, Options::default()))?;
                check!(all_settled(), "after enabling another, calls take the long way");
                check!(loader::find(SECOND).is_none(), "the other is still loaded");
            }
            returns([11, 12, 3])?;
            remove(FIRST)?;
            returns(OLD)
        })
    }
}
