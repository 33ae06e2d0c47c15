//! What replacement functions replace, through all modules that are loaded.
//!
//! A patch can't replace another patch's replacement function. A call comes there by a
//! hand-off, which has just put down what the caller needs back: a second hand-off would
//! take what the first has left in r2 and LR for the caller's own.

use super::{Descriptor, Wanted, objects};
use alloc::{string::String, vec, vec::Vec};
use loader::Module;

/// What a patch's function at `new` is to replace: each with its module, if that is
/// not the kernel.
fn replaced_by(patch: &Descriptor, new: u64) -> impl Iterator<Item = (Option<&str>, &Wanted)> {
    let all = patch.targets.iter().flat_map(|target| {
        let name = target.module.as_deref();
        target.functions.iter().map(move |wanted| (name, wanted))
    });
    all.filter(move |(_, wanted)| wanted.new == new)
}

/// Whether a module has its function at this address for a replacement, be it enabled
/// as a patch or not.
pub(super) fn is_replacement(module: &Module, address: u64) -> bool {
    let all = Descriptor::of(module);
    replaced_by(&all, address).next().is_some()
}

/// The functions that the replacement function at `new` is for, by path: if those are
/// replacement functions themselves, the ones that they are for, and so on. What a module
/// has that is not loaded counts as no replacement. None if all go round in a circle.
pub(super) fn of(new: u64) -> Vec<String> {
    let mut originals = Vec::new();
    let mut all = vec![new];
    let mut next = 0;
    while let Some(&new) = all.get(next) {
        next += 1;
        let Some(module) = loader::at(new) else {
            continue;
        };
        for (name, wanted) in replaced_by(&Descriptor::of(&module), new) {
            match replacement(name, wanted) {
                Some(old) if all.contains(&old) => {}
                Some(old) => all.push(old),
                None if originals.contains(&wanted.path) => {}
                None => originals.push(wanted.path.clone()),
            }
        }
    }
    originals
}

/// The address of a function that is wanted in a module, if it is loaded and has it for a
/// replacement.
fn replacement(module: Option<&str>, wanted: &Wanted) -> Option<u64> {
    let module = loader::find(module?)?;
    let old = objects::find_in(&module, wanted).ok()?;
    is_replacement(&module, old).then_some(old)
}
