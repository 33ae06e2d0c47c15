//! Objects: the kernel and the modules whose functions are patched. Modules come and
//! go under patches that are enabled already.

use super::{
    LivepatchError, Patch, Target, Wanted, enable, originals,
    patched::{self, Registered},
    registry::{Lock, REGISTRY},
    variants,
};
use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use consistency::{Function, ModelError};
use core::convert::Infallible;
use ftrace::Batch;
use loader::Module;
use machine::{log, symbols};

/// The targets of a patch that are there, by index.
pub(super) fn present(patch: &Patch) -> impl Iterator<Item = usize> {
    let targets = patch.descriptor.targets.iter().enumerate();
    targets.filter_map(|(index, target)| is_present(target).then_some(index))
}

fn is_present(target: &Target) -> bool {
    match &target.module {
        None => true,
        Some(name) => loader::find(name).is_some(),
    }
}

fn object_name(target: &Target) -> &str {
    target.module.as_deref().unwrap_or("kernel")
}

/// What a patch replaces in a target that is there.
pub(super) fn functions(patch: &Patch, index: usize) -> Result<Vec<Function>, LivepatchError> {
    let target = &patch.descriptor.targets[index];
    let Some(name) = &target.module else {
        return Ok(patch.descriptor.replacements.clone());
    };
    let module = loader::find(name).ok_or_else(|| missing(name, "", "it is not loaded"))?;
    functions_in(patch, target, &module)
}

fn functions_in(
    patch: &Patch,
    target: &Target,
    module: &Module,
) -> Result<Vec<Function>, LivepatchError> {
    let variant = variants::current();
    if !variant.patches_modules && !target.functions.is_empty() {
        return Err(LivepatchError::NoModules {
            module: module.name.clone(),
            variant: variant.name,
        });
    }
    let find = |wanted: &Wanted| {
        let old = find_in(module, wanted)
            .map_err(|reason| missing(&module.name, &wanted.path, &reason))?;
        if originals::is_replacement(module, old) {
            return Err(LivepatchError::Replacement {
                patch: patch.name().to_string(),
                path: wanted.path.clone(),
                originals: originals::of(old),
            });
        }
        Ok(Function {
            old,
            new: wanted.new,
        })
    };
    target.functions.iter().map(find).collect()
}

/// Refuses functions whose size is not known: a transition is about whether threads are in
/// the old functions, or in the new ones. Every patch's functions come by here, and symbols
/// stay as long as their code, so all sizes are known in all later transitions.
pub(super) fn must_have_sizes(functions: &[Function]) -> Result<(), LivepatchError> {
    let mut codes = functions.iter().flat_map(|one| [one.old, one.new]);
    match codes.find(|&code| symbols::size_at(code).is_none()) {
        None => Ok(()),
        Some(code) => Err(LivepatchError::NoSize {
            function: symbols::Path(code).to_string(),
        }),
    }
}

/// The global entry of a function that is wanted in a module.
///
/// # Errors
/// Why there is none, in a sentence.
pub(super) fn find_in(module: &Module, wanted: &Wanted) -> Result<u64, String> {
    let start = module.range().start;
    symbols::find_in_position(start, &wanted.path, wanted.position as usize)
}

fn missing(module: &str, path: &str, reason: &str) -> LivepatchError {
    LivepatchError::NoFunction {
        module: module.to_string(),
        path: path.to_string(),
        reason: reason.to_string(),
    }
}

/// Calls the pre-patch callbacks, in order, until one refuses.
pub(super) fn pre_patch(patch: &Patch, present: &[usize]) -> Result<(), LivepatchError> {
    for &index in present {
        let code = patch.pre_patch(index);
        if code != 0 {
            let object = object_name(&patch.descriptor.targets[index]).to_string();
            return Err(LivepatchError::PrePatch { object, code });
        }
    }
    Ok(())
}

/// Registers those of the functions that are not.
pub(super) fn register(
    functions: &[Function],
    sites: &mut Batch,
) -> Result<Vec<(u64, Registered)>, LivepatchError> {
    let mut new: Vec<(u64, Registered)> = Vec::new();
    for function in functions {
        let is_known = REGISTRY.lock().functions.contains_key(&function.old);
        if !is_known && !new.iter().any(|&(old, _)| old == function.old) {
            new.push((function.old, Registered::new(function.old, sites)?));
        }
    }
    Ok(new)
}

/// A module has been loaded, and no call of it was made yet: the patches that are
/// enabled, or on their way, apply to it at once.
///
/// # Errors
/// When a patch can't be applied: the module must not be there then.
pub(super) fn coming(module: &Arc<Module>) -> Result<(), String> {
    let lock = Lock::wait().map_err(|error| format!("{error}"))?;
    let mut done = Vec::new();
    for patch in patches_of(&module.name) {
        let (patch, index) = patch;
        log::info!(
            "livepatch: applying patch '{}' to loading module '{}'",
            patch.name(),
            module.name
        );
        if let Err(error) = apply(&lock, &patch, index, module) {
            log::warn!(
                "livepatch: patch '{}' failed for module '{}', refusing to load module '{}'",
                patch.name(),
                module.name,
                module.name
            );
            patch.post_unpatch(index);
            // Those before it are through, so they are undone as if it went.
            revert(&lock, module, &done);
            return Err(format!("{error}"));
        }
        done.push((patch, index));
    }
    Ok(())
}

fn apply(
    lock: &Lock,
    patch: &Arc<Patch>,
    index: usize,
    module: &Module,
) -> Result<(), LivepatchError> {
    let functions = functions_in(patch, &patch.descriptor.targets[index], module)?;
    must_have_sizes(&functions)?;
    pre_patch(patch, &[index])?;
    let mut sites = Batch::default();
    let new = register(&functions, &mut sites)?;
    {
        let mut registry = REGISTRY.lock();
        for (old, registered) in new {
            registry.functions.insert(old, registered);
        }
    }
    let moving = lock.change_with(&mut sites, |model| {
        model.add_functions(patch.id, &functions)?;
        Ok(model.transition().map(|one| one.patch()))
    });
    super::transition::publish(lock, || {});
    let moving = match moving {
        Err::<_, ModelError>(refused) => {
            enable::forget_unused(&functions);
            return Err(refused.into());
        }
        Ok(moving) => moving,
    };
    // In a transition, its end settles them.
    if moving.is_none() {
        for function in &functions {
            if let Some(function) = REGISTRY.lock().functions.get(&function.old) {
                function.unsettle(&mut sites)?;
                function.settle(&mut sites);
            }
        }
    }
    // The end of a patch's own transition tells of all its objects.
    if moving != Some(patch.id) {
        patch.post_patch(index);
    }
    Ok(())
}

/// The patches that have this module as a target, oldest first, with its index.
fn patches_of(module: &str) -> Vec<(Arc<Patch>, usize)> {
    let registry = REGISTRY.lock();
    let of = |patch: &Arc<Patch>| {
        let mut targets = patch.descriptor.targets.iter();
        let index = targets.position(|target| target.module.as_deref() == Some(module))?;
        Some((patch.clone(), index))
    };
    registry.patches.iter().filter_map(of).collect()
}

/// A module goes away, and no thread is in it any more.
pub(super) fn going(module: &Module) {
    let Ok(lock) = Lock::wait() else { return };
    revert(&lock, module, &patches_of(&module.name));
}

/// Undoes what these patches have done to a module, callbacks included. A patch that
/// is in transition has not told of the module yet, or no longer does.
fn revert(lock: &Lock, module: &Module, patches: &[(Arc<Patch>, usize)]) {
    let moving = {
        let registry = REGISTRY.lock();
        registry.model().transition().map(|one| one.patch())
    };
    for (patch, index) in patches {
        if moving != Some(patch.id) {
            patch.pre_unpatch(*index);
        }
        log::info!(
            "livepatch: reverting patch '{}' on unloading module '{}'",
            patch.name(),
            module.name
        );
    }
    take_away(lock, module, patches);
}

fn take_away(lock: &Lock, module: &Module, patches: &[(Arc<Patch>, usize)]) {
    let range = module.range();
    let Ok(gone) = lock.change(|model| {
        let gone = model.remove_functions(|old| (range.start..range.end).contains(&old));
        Ok::<_, Infallible>(gone)
    });
    let gone: Vec<Registered> = (gone.iter())
        .filter_map(|old| REGISTRY.lock().functions.remove(old))
        .collect();
    super::transition::publish(lock, || {});
    patched::release(gone);
    for (patch, index) in patches {
        patch.post_unpatch(*index);
    }
}
