//! What a module patches, by its descriptor: bytes that came from outside. They are read
//! and checked when the module is placed, before any code can find it; the loader has
//! identified it, and lets it carry what was read.

use super::DescriptorError;
use alloc::{format, string::String, sync::Arc, vec::Vec};
use consistency::Function;
use core::mem::offset_of;
use klp::{Callbacks, Info, Object, State, info};
use loader::{Carried, Memory, Module, ModuleError};
use machine::symbols;

/// The most functions that one module may replace.
const MOST_FUNCTIONS: u64 = 4096;

/// The most objects that one module may patch, and the most states it may have.
const MOST_OTHERS: u64 = 256;

/// A function that a module replaces, as its descriptor names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Path of the old one.
    pub path: String,
    /// Which of several functions of that path, by address and counted from 1; 0 if
    /// there must be only one.
    pub position: u32,
    /// Global entry of the new one.
    pub new: u64,
}

/// What a module patches in one object: the kernel, or another module.
#[derive(Clone, Debug)]
pub struct Target {
    /// The other module's name, which need not be loaded; none for the kernel.
    pub module: Option<String>,
    /// The functions to replace, no two the same.
    pub functions: Vec<Wanted>,
    /// What to call before and after. These are code of the module, so they can be
    /// called while it is loaded.
    pub callbacks: Callbacks,
}

/// A system state of a module's (Linux kernel/livepatch/state.c).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SystemState {
    /// Which state.
    pub id: u32,
    /// The version of it.
    pub version: u32,
    /// Where the module's [`klp::State`] is.
    pub address: u64,
}

/// What a descriptor says about a patch, checked. An ordinary module has no target.
#[derive(Debug, Default)]
pub struct Descriptor {
    /// Whether it takes the place of all patches before it.
    pub replace: bool,
    /// What it patches, no two of one name: the kernel, if at all, and other modules.
    /// Functions of those are looked up when both modules are there.
    pub targets: Vec<Target>,
    /// What it replaces of the kernel's: the functions of that target, looked up.
    pub replacements: Vec<Function>,
    /// Its system states, no two of one id.
    pub states: Vec<SystemState>,
}

impl Descriptor {
    /// What a loaded module patches; nothing, if it is an ordinary one.
    #[must_use]
    pub fn of(module: &Module) -> Arc<Self> {
        module.carried().unwrap_or_default()
    }

    /// Reads and checks what a descriptor leads to in the memory of its module.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn read(memory: &Memory, info: &Info) -> Result<Self, DescriptorError> {
        let targets = targets(memory, info)?;
        if info.keeps_kernels_toc() {
            must_be_the_kernels(&targets)?;
        }
        let replacements = match targets.iter().find(|target| target.module.is_none()) {
            Some(kernel) => replacements(kernel)?,
            None => Vec::new(),
        };
        Ok(Self {
            replace: info.flags & info::REPLACE != 0,
            targets,
            replacements,
            states: states(memory, info)?,
        })
    }

    /// What it patches in another module, or with none in the kernel.
    #[must_use]
    pub fn target(&self, module: Option<&str>) -> Option<&Target> {
        let mut targets = self.targets.iter();
        targets.find(|target| target.module.as_deref() == module)
    }

    /// Its system state of this id.
    #[must_use]
    pub fn state(&self, id: u32) -> Option<&SystemState> {
        self.states.iter().find(|state| state.id == id)
    }
}

/// Reads the descriptor of a placed module, for the module to carry if it is no ordinary one.
///
/// # Errors
/// [`DescriptorError`], as a refusal of the module.
pub(super) fn describe(memory: &Memory, info: &Info) -> Result<Carried, ModuleError<'static>> {
    let descriptor = Descriptor::read(memory, info)?;
    let is_patch = !descriptor.targets.is_empty();
    Ok(is_patch.then(|| Arc::new(descriptor) as _))
}

/// What is patched, object by object.
fn targets(memory: &Memory, info: &Info) -> Result<Vec<Target>, DescriptorError> {
    let table = memory.table("objects", (info.objects, info.object_count), MOST_OTHERS)?;
    let mut targets: Vec<Target> = with_room(table.len())?;
    let mut room = MOST_FUNCTIONS;
    for object in table {
        let target = target(memory, &object, room)?;
        room -= target.functions.len() as u64;
        if targets.iter().any(|other| other.module == target.module) {
            return Err(DescriptorError::SameObject {
                object: target.module,
            });
        }
        if target.module.is_some()
            && let Some(twice) = twice(&target.functions, |one| (one.position, &*one.path))
        {
            return Err(DescriptorError::SameFunction {
                path: target.functions[twice].path.clone(),
                object: target.module,
            });
        }
        targets.push(target);
    }
    Ok(targets)
}

/// Refuses to replace functions of modules: a caller there has its module's TOC pointer in
/// r2, and these replacements would leave it the kernel's.
fn must_be_the_kernels(targets: &[Target]) -> Result<(), DescriptorError> {
    for target in targets {
        if let (Some(module), [first, ..]) = (&target.module, &*target.functions) {
            return Err(DescriptorError::OtherToc {
                path: first.path.clone(),
                module: module.clone(),
            });
        }
    }
    Ok(())
}

/// Checks one object.
fn target(memory: &Memory, object: &Object, room: u64) -> Result<Target, DescriptorError> {
    let module = match object.name.parts() {
        (_, 0) => None,
        _ => Some(memory.text(object.name)?),
    };
    let table = (object.functions, object.function_count);
    let table = memory.table("functions", table, room)?;
    let mut functions = with_room(table.len())?;
    for function in table {
        let wanted = Wanted {
            path: memory.text(function.old)?,
            position: function.position,
            new: function.new.addr() as u64,
        };
        if !memory.is_code(wanted.new) {
            return Err(DescriptorError::BadFunction {
                path: wanted.path,
                address: wanted.new,
            });
        }
        functions.push(wanted);
    }
    for (callback, address) in object.callbacks.iter() {
        if !memory.is_code(address) {
            return Err(DescriptorError::BadCallback {
                object: module,
                callback,
                address,
            });
        }
    }
    Ok(Target {
        module,
        functions,
        callbacks: object.callbacks,
    })
}

/// The old functions of the kernel's, looked up.
fn replacements(kernel: &Target) -> Result<Vec<Function>, DescriptorError> {
    let mut replacements = with_room(kernel.functions.len())?;
    for wanted in &kernel.functions {
        let found = symbols::find_position(&wanted.path, wanted.position as usize);
        let old = found.map_err(|reason| DescriptorError::OldFunction {
            reason: format!("{reason}"),
        })?;
        replacements.push(Function {
            old: old.address,
            new: wanted.new,
        });
    }
    // One function may have several names.
    match twice(&replacements, |one| one.old) {
        Some(twice) => Err(DescriptorError::SameFunction {
            path: kernel.functions[twice].path.clone(),
            object: None,
        }),
        None => Ok(replacements),
    }
}

/// The system states.
fn states(memory: &Memory, info: &Info) -> Result<Vec<SystemState>, DescriptorError> {
    let table = memory.table("states", (info.states, info.state_count), MOST_OTHERS)?;
    let mut states = with_room(table.len())?;
    for entry in table {
        states.push(state(memory, entry.addr() as u64)?);
    }
    match twice(&states, |state| state.id) {
        Some(twice) => Err(DescriptorError::SameState {
            id: states[twice].id,
        }),
        None => Ok(states),
    }
}

/// Checks one state.
fn state(memory: &Memory, address: u64) -> Result<SystemState, DescriptorError> {
    let bad = || DescriptorError::BadState { address };
    let aligned = address.is_multiple_of(align_of::<State>() as u64);
    if !aligned || !memory.holds(address, size_of::<State>() as u64) {
        return Err(bad());
    }
    let field = |offset: usize| memory.value(address + offset as u64).ok_or_else(bad);
    Ok(SystemState {
        id: field(offset_of!(State, id))?,
        version: field(offset_of!(State, version))?,
        address,
    })
}

/// An empty list with room for so many entries.
fn with_room<T>(count: usize) -> Result<Vec<T>, ModuleError<'static>> {
    let mut empty = Vec::new();
    empty.try_reserve_exact(count)?;
    Ok(empty)
}

/// The first entry that has the same key as one before it, by index. There are few: this
/// looks at all pairs.
fn twice<'t, T, K: PartialEq>(entries: &'t [T], key: impl Fn(&'t T) -> K) -> Option<usize> {
    let mut all = entries.iter().enumerate();
    all.position(|(index, one)| {
        let mut before = entries[..index].iter();
        before.any(|other| key(other) == key(one))
    })
}
