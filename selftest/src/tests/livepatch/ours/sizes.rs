//! Functions of unknown size: whether a thread is in one can't be seen.

use super::super::{
    OLD, enable, file, function, load, noted, refused, remove, replacing, returns, undisturbed,
    unload,
};
use alloc::{format, string::String, vec::Vec};
use livepatch as klp;
use livepatch::Options;

/// What `enable` says of such a function.
fn sentence(path: &str) -> String {
    format!(
        "the size of {path} is not known, so whether a thread is in it is not either; in assembly, `.size` gives it"
    )
}

/// A module's file, with all sizes of functions gone from its symbol table (ELF, the
/// sections `Sections` and `Symbol Table`).
fn sizeless(mut file: Vec<u8>) -> Result<Vec<u8>, String> {
    const SHT_SYMTAB: usize = 2;
    const STT_FUNC: u8 = 2;
    let number = |file: &[u8], at: usize, bytes: usize| -> Result<usize, String> {
        let bytes = file
            .get(at..at + bytes)
            .ok_or("a module's file is cut short")?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
    };
    let (headers, count) = (number(&file, 0x28, 8)?, number(&file, 0x3c, 2)?);
    for header in (headers..).step_by(0x40).take(count) {
        if number(&file, header + 0x04, 4)? != SHT_SYMTAB {
            continue;
        }
        let (start, bytes) = (
            number(&file, header + 0x18, 8)?,
            number(&file, header + 0x20, 8)?,
        );
        for symbol in file[start..start + bytes].chunks_exact_mut(24) {
            if symbol[4] & 0xf == STT_FUNC {
                symbol[16..24].fill(0);
            }
        }
    }
    Ok(file)
}

crate::selftest! {
    /// A replacement without a size is refused by name, and nothing has changed; also when
    /// the patch is to take the place of others.
    fn replacements_without_a_size_are_refused() {
        undisturbed(|| {
            let patch = sizeless(file("test_klp_livepatch")?.to_vec())?;
            let expected = sentence("test_klp_livepatch::one");
            refused("enabling it", klp::load(&patch, Options::default()), &expected)?;
            returns(OLD)?;
            enable("test_klp_second")?;
            let patch = sizeless(replacing("test_klp_livepatch")?)?;
            refused("replacing by it", klp::load(&patch, Options::default()), &expected)?;
            returns([21, 22, 3])?;
            remove("test_klp_second")?;
            returns(OLD)?;
            noted(&[])
        })
    }

    /// So is a function of a module that would be replaced, whichever comes first.
    fn modules_without_sizes_are_refused() {
        const TARGET: &str = "test_klp_mod_target";
        const PATCH: &str = "test_klp_mod_patch";
        undisturbed(|| {
            let target = sizeless(file(TARGET)?.to_vec())?;
            let expected = sentence("test_klp_mod_target::work");
            let module = loader::load(&target).map_err(super::super::text)?;
            refused("enabling it", klp::load(file(PATCH)?, Options::default()), &expected)?;
            let work = function(&module, "test_klp_mod_target::work")?;
            crate::check!(work(5) == 10, "it is patched");
            drop(module);
            unload(TARGET)?;
            enable(PATCH)?;
            let expected = format!("module `{TARGET}` is not wanted: {expected}");
            refused("loading it", loader::load(&target), &expected)?;
            // No callback of its was called.
            noted(&[])?;
            drop(load(TARGET)?);
            remove(PATCH)?;
            unload(TARGET)?;
            noted(&[
                "test_klp_mod_patch: pre_patch: test_klp_mod_target",
                "test_klp_mod_patch: post_patch: test_klp_mod_target",
                "test_klp_mod_patch: pre_unpatch: test_klp_mod_target",
                "test_klp_mod_patch: post_unpatch: test_klp_mod_target",
            ])
        })
    }
}
