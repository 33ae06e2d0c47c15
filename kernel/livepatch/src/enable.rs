//! A patch's way in and out: what is checked, in which order, and what is undone
//! when something fails.

use super::{
    LivepatchError, Patch, Target, objects,
    patch::MOST_TARGETS,
    patched::{self, Registered},
    registry::{Lock, REGISTRY, must_not_be_owner},
    states,
    transition::{self, Way},
    variants, worker,
};
use alloc::{format, string::ToString, sync::Arc, vec::Vec};
use consistency::Function;
use core::time::Duration;
use ftrace::Batch;
use loader::Module;
use machine::log;

/// How to enable a patch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Reverse the transition by itself if it has not ended after so long.
    pub reverse_after: Option<Duration>,
}

/// Enables a patch: starts the transition to its functions, and ends it at once if
/// all threads can switch now. Otherwise it goes on by itself; see [`wait`].
///
/// [`wait`]: super::wait
///
/// # Errors
/// [`LivepatchError`]; nothing has changed then.
pub fn enable(module: &Arc<Module>, options: Options) -> Result<Arc<Patch>, LivepatchError> {
    let lock = Lock::wait()?;
    let name = &module.name;
    let result = try_enable(&lock, module, options);
    if let Err(error) = &result {
        log::error!("livepatch: failed to enable patch '{name}': {error}");
    }
    result
}

fn try_enable(
    lock: &Lock,
    module: &Arc<Module>,
    options: Options,
) -> Result<Arc<Patch>, LivepatchError> {
    let patch = {
        let mut registry = REGISTRY.lock();
        registry.must_be_idle()?;
        if registry.by_name(&module.name).is_some() {
            return Err(LivepatchError::Enabled(module.name.clone()));
        }
        let id = registry.next_id();
        Arc::new(Patch::new(id, module.clone()))
    };
    check(&patch)?;
    let mut sites = Batch::default();
    let (functions, new) = prepare(&patch, &mut sites)?;
    log::info!(
        "livepatch: '{}': starting patching transition",
        patch.name()
    );
    for (old, registered) in new {
        REGISTRY.lock().functions.insert(old, registered);
    }
    let way = Way::In(&functions, patch.descriptor.replace);
    let result = transition::unsettle(lock, &mut sites, &patch, &way)
        .and_then(|()| transition::begin(lock, sites, &patch, &way));
    if let Err(error) = result {
        forget_unused(&functions);
        cancel(&patch);
        return Err(error);
    }
    worker::set_deadline(options.reverse_after);
    transition::go_on(lock);
    Ok(patch)
}

/// Refuses what can't be a patch here.
fn check(patch: &Patch) -> Result<(), LivepatchError> {
    let module = &patch.module;
    let targets = &patch.descriptor.targets;
    let does_nothing = |target: &Target| target.functions.is_empty() && target.callbacks.is_empty();
    if targets.iter().all(does_nothing) || targets.len() > MOST_TARGETS {
        return Err(LivepatchError::NothingToDo(module.name.clone()));
    }
    if !module.is_as_expected() {
        let (module, found) = (module.name.clone(), module.convention);
        let variant = variants::current();
        return Err(if found == variant.convention {
            let variant = variant.name;
            LivepatchError::Toc { module, variant }
        } else {
            LivepatchError::Convention {
                module,
                found,
                expected: variant.convention,
                variant: variant.name,
            }
        });
    }
    states::are_compatible(patch)
}

/// A function that was registered just now, by the original.
type New = Vec<(u64, Registered)>;

/// Everything up to the transition: looks the functions up, calls the pre-patch
/// callbacks, registers the functions that no patch has replaced before.
fn prepare(patch: &Patch, sites: &mut Batch) -> Result<(Vec<Function>, New), LivepatchError> {
    let name = patch.name();
    log::info!("livepatch: enabling patch '{name}'");
    let present: Vec<usize> = objects::present(patch).collect();
    let mut functions = Vec::new();
    for &index in &present {
        functions.extend(objects::functions(patch, index)?);
    }
    objects::must_have_sizes(&functions)?;
    // Tables by address then grow at their ends.
    functions.sort_unstable_by_key(|function| function.old);
    log::info!("livepatch: '{name}': initializing patching transition");
    let prepared =
        objects::pre_patch(patch, &present).and_then(|()| objects::register(&functions, sites));
    match prepared {
        Ok(new) => Ok((functions, new)),
        Err(error) => {
            cancel(patch);
            Err(error)
        }
    }
}

/// Undoes the pre-patch callbacks of a patch that is not enabled after all.
fn cancel(patch: &Patch) {
    log::info!(
        "livepatch: '{}': canceling patching transition, going to unpatch",
        patch.name()
    );
    for index in objects::present(patch) {
        patch.post_unpatch(index);
    }
}

/// Lets go of functions that no patch replaces.
pub(super) fn forget_unused(functions: &[Function]) {
    let mut unused = Vec::new();
    {
        let mut registry = REGISTRY.lock();
        for function in functions {
            if registry.model().choice(function.old).is_none() {
                unused.extend(registry.functions.remove(&function.old));
            }
        }
    }
    patched::release(unused);
}

/// Disables a patch: starts the transition away from its functions. A patch that is
/// just being enabled is reversed.
///
/// # Errors
/// [`LivepatchError`]; nothing has changed then.
pub fn disable(name: &str) -> Result<(), LivepatchError> {
    let lock = Lock::wait()?;
    let (patch, coming) = {
        let registry = REGISTRY.lock();
        let patch = registry.by_name(name).cloned();
        let patch = patch.ok_or_else(|| LivepatchError::NotEnabled(name.to_string()))?;
        let is_moving = (registry.model().transition()).is_some_and(|one| one.patch() == patch.id);
        if !is_moving {
            registry.must_be_idle()?;
        }
        (patch, is_moving)
    };
    if coming {
        return if transition::is_leaving() {
            Ok(())
        } else {
            transition::turn_round(&lock)
        };
    }
    log::info!("livepatch: '{name}': initializing unpatching transition");
    let mut sites = Batch::default();
    transition::unsettle(&lock, &mut sites, &patch, &Way::Out)?;
    for index in objects::present(&patch) {
        patch.pre_unpatch(index);
    }
    log::info!("livepatch: '{name}': starting unpatching transition");
    transition::begin(&lock, sites, &patch, &Way::Out)?;
    worker::set_deadline(None);
    transition::go_on(&lock);
    Ok(())
}

/// Loads a module and enables it as a patch; unloads it again if that fails.
///
/// # Errors
/// [`LivepatchError`]; nothing has changed then.
pub fn load(file: &[u8], options: Options) -> Result<Arc<Patch>, LivepatchError> {
    // Before the loader's lock, which comes first: a thread that loads a target waits for the
    // livepatch lock under it.
    must_not_be_owner()?;
    let module = loader::load(file).map_err(|error| LivepatchError::Module(format!("{error}")))?;
    let name = module.name.clone();
    let result = enable(&module, options);
    drop(module);
    if result.is_err()
        && let Err(error) = loader::unload(&name)
    {
        log::error!("livepatch: {error}");
    }
    result
}

/// Disables a patch if it is enabled, waits for that, and unloads its module.
///
/// # Errors
/// [`LivepatchError`].
pub fn unload(name: &str) -> Result<(), LivepatchError> {
    // As in `load`.
    must_not_be_owner()?;
    if super::find(name).is_some() {
        disable(name)?;
        super::wait();
    }
    loader::unload(name).map_err(|error| LivepatchError::Module(format!("{error}")))
}
